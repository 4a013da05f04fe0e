internal import CrashedKernel
internal import DumpBasics

// Reading mem_section, which may be damaged anywhere.
extension SectionTable {
  /// Sections, and pointers of the root table, that are read at once. Where many can't be, fewer are tried.
  private static let step: UInt64 = 512
  private static let rootStep: UInt64 = 1 << 14

  struct Roots {
    var table: VirtualAddress
    var count: UInt64
    /// Sections behind one root pointer; nil when the sections themselves are the table (SPARSEMEM_STATIC).
    var perRoot: UInt64?
    var entrySize: Int
    var mapOffset: Int
  }

  /// How the table is built follows from its length: NR_SECTION_ROOTS.
  static func roots(_ info: VMCoreInfo, _ pageSize: PageSize, _ geometry: Geometry) throws(DumpError) -> Roots {
    let entrySize = try info.requireSize("mem_section")
    let mapOffset = try info.requireOffset("mem_section.section_mem_map")
    guard entrySize >= 8, entrySize <= 4096, mapOffset <= entrySize - 8, let count = info.length("mem_section") else {
      throw DumpError("SIZE, OFFSET or LENGTH of mem_section is missing or absurd", at: "VMCOREINFO")
    }
    let table = try info.requireSymbol("mem_section")
    let sections = UInt64(1) << geometry.numberBits
    let perPage = pageSize.bytes / UInt64(entrySize)
    if count == max(1, (sections + perPage - 1) / perPage) {
      return Roots(table: table, count: count, perRoot: perPage, entrySize: entrySize, mapOffset: mapOffset)
    }
    if count == sections {
      return Roots(table: table, count: count, perRoot: nil, entrySize: entrySize, mapOffset: mapOffset)
    }
    throw DumpError(
      "LENGTH(mem_section)=\(count) fits neither SPARSEMEM_EXTREME nor a plain table of \(sections) sections",
      at: "VMCOREINFO")
  }

  mutating func read(
    _ roots: Roots, _ memory: KernelMemory, _ structSize: Int, _ checks: inout CheckTable, _ findings: inout Findings
  ) {
    guard let perRoot = roots.perRoot else {
      readEntries(at: roots.table, 0..<roots.count, roots, memory, structSize, &checks, &findings)
      return
    }
    var first: UInt64 = 0
    var step = SectionTable.rootStep
    while first < roots.count {
      let count = min(step, roots.count - first)
      // `first` is below the root count, at most 2^52 / 2^18 entries of 8 bytes.
      let bytes = roots.table.advanced(by: first * 8).flatMap { try? memory.read($0, count: Int(count) * 8) }
      if bytes == nil, step > SectionTable.step {
        step = SectionTable.step
        continue
      }
      defer { first += count }
      guard let bytes else {
        checks.failed(.sectionPointer)
        findings.add(
          DumpError(
            "a part of mem_section can't be read", at: "roots \(first) to \(first + count - 1)", advice: "their sections are kept"
          ), Findings.noFrames)
        continue
      }
      // 2^17 roots for 2^52 bytes of memory, and nearly all of them empty.
      if unsafe bytes.withUnsafeBytes({ unsafe isZero($0) }) { continue }
      let reader = ByteReader(bytes, memory.byteOrder)
      for index in 0..<count {
        guard let root = reader.u64(Int(index) * 8), root != 0 else { continue }
        let start = (first + index) * perRoot
        readEntries(
          at: VirtualAddress(root), start..<min(start + perRoot, 1 << geometry.numberBits), roots, memory, structSize,
          &checks, &findings)
        if sections.count >= SectionTable.sectionLimit { return tooMany(&checks, &findings) }
      }
    }
  }

  private func tooMany(_ checks: inout CheckTable, _ findings: inout Findings) {
    checks.failed(.sectionPointer)
    findings.add(
      DumpError(
        "mem_section has more than \(SectionTable.sectionLimit) sections", at: "mem_section",
        advice: "memory above section \(sections.last?.number ?? 0) is kept"), Findings.noFrames)
  }

  /// Reads the sections `numbers`, whose entries lie at `address`.
  private mutating func readEntries(
    at address: VirtualAddress, _ numbers: Range<UInt64>, _ roots: Roots, _ memory: KernelMemory, _ structSize: Int,
    _ checks: inout CheckTable, _ findings: inout Findings
  ) {
    var first = numbers.lowerBound
    while first < numbers.upperBound, sections.count < SectionTable.sectionLimit {
      let count = min(SectionTable.step, numbers.upperBound - first)
      defer { first += count }
      let offset = (first - numbers.lowerBound) * UInt64(roots.entrySize)
      guard let place = address.advanced(by: offset),
        let bytes = try? memory.read(place, count: Int(count) * roots.entrySize)
      else {
        checks.failed(.sectionPointer)
        findings.add(
          DumpError(
            "a pointer to sections leads nowhere", at: "sections \(first) to \(first + count - 1), address \(address)",
            advice: "they are kept"), Findings.noFrames)
        continue
      }
      let reader = ByteReader(bytes, memory.byteOrder)
      for index in 0..<count {
        guard let word = reader.u64(Int(index) * roots.entrySize + roots.mapOffset), word != 0 else { continue }
        add(first + index, word, structSize, &checks, &findings)
      }
    }
  }

  /// SECTION_MARKED_PRESENT is bit 0, SECTION_HAS_MEM_MAP bit 1, SECTION_IS_ONLINE bit 2. There were three
  /// flags in 4.x and are six in 6.15; the map is aligned to a page, so that the low 12 bits are theirs.
  private mutating func add(
    _ number: UInt64, _ word: UInt64, _ structSize: Int, _ checks: inout CheckTable, _ findings: inout Findings
  ) {
    let encoded = word & ~0xfff
    guard word & 3 == 3, encoded != 0 else {
      checks.failed(.sectionPointer)
      refused.insert(number)
      findings.add(
        DumpError("section_mem_map \(hex(word)) has no map", at: "section \(number)", advice: "the section is kept"),
        geometry.frames(number))
      return
    }
    checks.passed(.sectionPointer)
    // Encoded as the map's address less that of pfn `start`: the sum wraps by design (sparse_encode_mem_map).
    let map = encoded &+ (number << geometry.shift) &* UInt64(structSize)
    sections.append(MapSection(number: number, map: map, isOnline: word & 4 != 0))
  }
}
