internal import CrashedKernel
internal import DumpBasics

/// A section of physical memory that has a page map.
struct MapSection: Sendable, Equatable {
  var number: UInt64
  /// The virtual address of the `struct page` of its first page.
  var map: UInt64
}

/// Where the page map lies: SPARSEMEM's sections, from `mem_section` (include/linux/mmzone.h, mm/sparse.c).
struct SectionTable: Sendable {
  /// What a section's number means.
  struct Geometry: Sendable, Equatable {
    /// log2 of pages in a section: 15 on x86_64.
    var shift: UInt64
    /// log2 of the number of sections that physical memory can have.
    var numberBits: UInt64
    var pages: UInt64 { 1 << shift }
    /// The page frames of a section.
    func frames(_ number: UInt64) -> Range<UInt64> { number << shift..<(number + 1) << shift }
  }

  var geometry: Geometry
  /// Ascending by number; those that passed.
  var sections: [MapSection] = []
  /// The address of the map of pfn 0, on which all sections agree: with SPARSEMEM_VMEMMAP. Nil when each has its own.
  var commonBase: UInt64?
  /// Sections that are there and can't be used.
  var refused: Set<UInt64> = []

  /// 128 TiB of memory in sections of 128 MiB.
  static let sectionLimit = 1 << 20
  /// Sections, and pointers of the root table, that are read at once. Where many can't be, fewer are tried.
  private static let step: UInt64 = 512
  private static let rootStep: UInt64 = 1 << 14

  private struct Roots {
    var table: VirtualAddress
    var count: UInt64
    /// Sections behind one root pointer; nil when the sections themselves are the table (SPARSEMEM_STATIC).
    var perRoot: UInt64?
    var entrySize: Int
    var mapOffset: Int
  }

  init(
    _ info: VMCoreInfo, _ memory: KernelMemory, of frames: [Range<UInt64>], pageSize: PageSize, layout: PageLayout,
    physicalBits: UInt64, trust: Trust, _ checks: inout CheckTable, _ findings: inout Findings
  ) throws(DumpError) {
    let sectionBits = try info.requireNumber("SECTION_SIZE_BITS")
    let memoryBits = try info.requireNumber("MAX_PHYSMEM_BITS")
    // 21 and 64 leave every kernel room; they bound the shifts below.
    guard (Int64(pageSize.shift) + 6...36).contains(sectionBits), sectionBits < memoryBits, memoryBits <= Int64(physicalBits)
    else {
      throw DumpError("SECTION_SIZE_BITS=\(sectionBits), MAX_PHYSMEM_BITS=\(memoryBits) are no section sizes", at: "VMCOREINFO")
    }
    geometry = Geometry(
      shift: UInt64(sectionBits) - pageSize.shift, numberBits: UInt64(memoryBits) - UInt64(sectionBits))
    let roots = try SectionTable.roots(info, pageSize, geometry)
    read(roots, memory, layout.size, &checks, &findings)
    limit(to: frames, pageSize, layout.size, &checks, &findings)
    if trust == .checked {
      agree(layout.size, info, memory, &checks, &findings)
    } else {
      commonBase = majority(of: sections, layout.size)
    }
    if trust == .checked { refuseUnmapped(frames, &checks, &findings) }
    if sections.isEmpty { throw DumpError("no section of memory has a page map", at: "mem_section \(roots.table)") }
  }

  /// How the table is built follows from its length: NR_SECTION_ROOTS.
  private static func roots(_ info: VMCoreInfo, _ pageSize: PageSize, _ geometry: Geometry) throws(DumpError) -> Roots {
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

  // MARK: Reading

  private mutating func read(
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

  /// SECTION_MARKED_PRESENT is bit 0, SECTION_HAS_MEM_MAP bit 1. There were three flags in 4.x and are six in 6.15; the
  /// map is aligned to a page, so that the low 12 bits are theirs.
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
    sections.append(MapSection(number: number, map: encoded &+ (number << geometry.shift) &* UInt64(structSize)))
  }

  /// Every section's map lies in memory. Where there are more than memory has room for, most of them are damage, and only
  /// those of which the dump has memory are believed to be there: the time that it takes is bounded by what the dump holds.
  private mutating func limit(
    to frames: [Range<UInt64>], _ pageSize: PageSize, _ structSize: Int, _ checks: inout CheckTable, _ findings: inout Findings
  ) {
    let memory = frames.reduce(UInt64(0)) { $0 + UInt64($1.count) } << pageSize.shift  // ranges of 52 bits, disjoint
    let room = memory / (geometry.pages * UInt64(structSize)) + 1
    if UInt64(sections.count) <= room { return }
    checks.failed(.sectionPointer)
    findings.add(
      DumpError(
        "mem_section has \(sections.count) sections, and memory could hold the maps of \(room)", at: "mem_section",
        advice: "those outside the dump are not looked at"), Findings.noFrames)
    sections.removeAll { pagesIn(frames, geometry.frames($0.number)) == 0 }
  }

  // MARK: Agreement

  /// The base on which more than half of the sections agree.
  private func majority(of sections: [MapSection], _ structSize: Int) -> UInt64? {
    var candidate: UInt64 = 0
    var votes = 0
    for section in sections {
      let base = base(section, structSize)
      if votes == 0 { candidate = base }
      votes += base == candidate ? 1 : -1
    }
    return sections.count { base($0, structSize) == candidate } * 2 > sections.count ? candidate : nil
  }

  private func base(_ section: MapSection, _ structSize: Int) -> UInt64 {
    section.map &- (section.number << geometry.shift) &* UInt64(structSize)  // wraps, as it was encoded
  }

  /// With vmemmap every section has the same base (`SYMBOL(vmemmap)`, where the kernel says it): what differs is damaged.
  private mutating func agree(
    _ structSize: Int, _ info: VMCoreInfo, _ memory: KernelMemory, _ checks: inout CheckTable, _ findings: inout Findings
  ) {
    let said = info.symbol("vmemmap")?.rawValue
    guard
      let base = said.flatMap({ said in sections.contains { base($0, structSize) == said } ? said : nil }) ?? majority(
        of: sections, structSize)
        // One of two is damaged: the one whose map is there.
        ?? majority(of: sections.filter { (try? memory.translate(VirtualAddress($0.map))) != nil }, structSize)
    else { return }
    commonBase = base
    var kept: [MapSection] = []
    kept.reserveCapacity(sections.count)
    for section in sections {
      if self.base(section, structSize) == base {
        kept.append(section)
      } else {
        checks.failed(.sectionPointer)
        refused.insert(section.number)
        findings.add(
          DumpError(
            "the page map would lie at \(hex(section.map)), outside the one of all other sections",
            at: "section \(section.number), pfn \(hex(section.number << geometry.shift)) and on",
            advice: "the section is kept"), geometry.frames(section.number))
      }
    }
    sections = kept
  }

  /// Memory that the dump has and mem_section does not is kept; with vmemmap its `struct page`s can still be found, so that
  /// free lists lead through them.
  private mutating func refuseUnmapped(_ frames: [Range<UInt64>], _ checks: inout CheckTable, _ findings: inout Findings) {
    var first: UInt64 = 0
    for range in frames where !range.isEmpty {
      first = max(first, range.lowerBound >> geometry.shift)
      let end = (range.upperBound - 1) >> geometry.shift + 1
      // Bounded, as what the dump claims to hold is: the rest is kept all the same.
      while first < end, refused.count < SectionTable.sectionLimit {
        defer { first += 1 }
        if refused.contains(first) || section(of: first << geometry.shift) != nil { continue }
        refused.insert(first)
        checks.failed(.sectionPointer)
        findings.add(
          DumpError("memory has no page map", at: "section \(first)", advice: "the section is kept"), geometry.frames(first))
      }
    }
  }

  // MARK: Questions

  /// The pfn whose `struct page` lies at `address`; nil when there is none. With vmemmap that of a refused section too: its
  /// pages are kept, but lists go through them.
  func frame(ofStruct address: UInt64, _ structSize: Int) -> UInt64? {
    let bytes = UInt64(structSize)
    if let commonBase {
      let distance = address &- commonBase  // an address below the base becomes a frame that no section has
      let frame = distance / bytes
      guard distance % bytes == 0, section(of: frame) != nil || refused.contains(frame >> geometry.shift) else { return nil }
      return frame
    }
    // Maps of their own lie anywhere: a damaged dump may ask for each, so the search is linear only in sections.
    for section in sections {
      let distance = address &- section.map
      if distance < geometry.pages * bytes {
        return distance % bytes == 0 ? (section.number << geometry.shift) + distance / bytes : nil
      }
    }
    return nil
  }

  func section(of frame: UInt64) -> MapSection? {
    let number = frame >> geometry.shift
    let index = sections.partitionPoint { $0.number < number }
    return index < sections.count && sections[index].number == number ? sections[index] : nil
  }
}
