internal import CoreEncoding
internal import DumpBasics

/// The PT_LOADs of a source, each taken as far as it is sure: no number of theirs leads to a trap, to time or
/// to memory beyond bounds.
///
/// The rules, in this order; each that is used is a finding:
///
/// 1. `SegmentWitnesses` has mended what the other program headers contradict. 2. A segment without a
/// physical address is left out. (QEMU's MMIO without data is no finding: it never was RAM.) 3. `p_filesz`
/// beyond `p_memsz`: the segment ends at `p_memsz`. 4. A sum past 2^64, or memory past the largest physical
/// address: the segment ends there, or is left out. 5. The same memory by the same mapping twice: the first
/// one in memory wins, the other begins behind it. 6. Zeros that only a header promises count up to
/// `promisedZerosLimit`; the rest is left out.
struct SegmentClaims {
  private(set) var segments: [MemorySegment] = []
  private let place: (Int) -> String
  private let limit: UInt64

  /// Zeros behind `p_filesz` in all segments together: memory that costs program headers and nothing else.
  static let promisedZerosLimit: UInt64 = 256 << 30

  /// - Throws: when no memory at all is left.
  init(
    _ claims: HeaderClaims, _ entries: [ELFProgramHeader], _ name: String, isLive: Bool = false,
    _ findings: inout [DumpError]
  ) throws(DumpError) {
    let start = claims.offset
    place = { index in
      "\(name), program header \(index), offset \(hex(start + UInt64(index * ELF64.programHeaderSize)))"
    }
    limit = 1 << claims.header.identity.architecture.physicalAddressBits
    var withoutAddress: [Int] = []
    for (index, entry) in entries.enumerated() where entry.type == ELFProgramHeader.load && entry.memorySize > 0 {
      if entry.physicalAddress == .max {
        withoutAddress.append(index)
      } else if entry.offset == .max, entry.fileSize == 0 {
        // QEMU's dump-guest-memory -p lists mappings of MMIO so (dump.c, get_offset_range).
        continue
      } else if let segment = bounded(entry, index, &findings) {
        segments.append(segment)
      }
    }
    // /proc/kcore has memory by several mappings: what has no physical address here has one in another.
    if let first = withoutAddress.first, !isLive {
      findings.append(
        DumpError(
          "\(withoutAddress.count) segments without a physical address are left out", at: place(first),
          advice: "as in a copy of /proc/kcore"))
    }
    guard !segments.isEmpty else {
      throw DumpError("no PT_LOAD program header can be used: the file holds no memory", at: name, advice: "this is no dump")
    }
    separate(name, &findings)
    boundZeros(name, &findings)
  }

  private func bounded(_ entry: ELFProgramHeader, _ index: Int, _ findings: inout [DumpError]) -> MemorySegment? {
    func found(_ what: String, _ advice: String) {
      findings.append(DumpError(what, at: place(index), advice: advice))
    }
    var (fileSize, memorySize) = (entry.fileSize, entry.memorySize)
    if fileSize > memorySize {
      found("p_filesz \(hex(fileSize)) is more than p_memsz \(hex(memorySize))", "the segment ends at p_memsz")
      fileSize = memorySize
    }
    if entry.offset.addingReportingOverflow(fileSize).overflow {
      found("p_offset \(hex(entry.offset)) + p_filesz \(hex(fileSize)) is past 2^64", "the segment has no data")
      return nil
    }
    guard entry.physicalAddress < limit else {
      found(
        "p_paddr \(hex(entry.physicalAddress)) is past the largest physical address, \(hex(limit - 1))",
        "the segment is left out")
      return nil
    }
    if memorySize > limit - entry.physicalAddress {
      found(
        "p_paddr \(hex(entry.physicalAddress)) + p_memsz \(hex(memorySize)) is past the largest physical address, "
          + hex(limit - 1),
        "the segment ends with its data")
      memorySize = min(fileSize, limit - entry.physicalAddress)
      fileSize = memorySize
    }
    guard let range = PhysicalRange(start: entry.physicalAddress, count: memorySize) else { return nil }
    return MemorySegment(
      physical: range, virtualAddress: entry.virtualAddress, flags: entry.flags, fileOffset: entry.offset, fileSize: fileSize)
  }

  /// Rule 5. Memory may stand twice under two virtual addresses, as kernel text does; by one mapping it may
  /// not.
  private mutating func separate(_ name: String, _ findings: inout [DumpError]) {
    let order = segments.indices.sorted { (segments[$0].physical.start, $0) < (segments[$1].physical.start, $1) }
    var ends: [UInt64: Int] = [:]
    var gone: Set<Int> = []
    var count = 0
    for index in order {
      let segment = segments[index]
      let mapping = segment.virtualAddress &- segment.physical.start  // wraps: kernel addresses are near 2^64
      if let other = ends[mapping] {
        let before = segments[other].physical
        // Zeros that a header promises give way to data.
        let dataEnd = before.start + segments[other].fileSize
        let border = segments[other].fileSize < before.count && dataEnd <= segment.physical.start ? dataEnd : before.end
        if border > segment.physical.start {
          count += 1
          if count <= 8 {
            findings.append(
              DumpError(
                "PT_LOADs overlap: \(before) and \(segment.physical) by one mapping", at: name,
                advice: "the first one is taken where both have memory"))
          }
          guard let rest = PhysicalRange(border, segment.physical.end) else {
            gone.insert(index)
            continue
          }
          let skipped = rest.start - segment.physical.start
          segments[index] = MemorySegment(
            physical: rest, virtualAddress: segment.virtualAddress &+ skipped, flags: segment.flags,
            fileOffset: segment.fileOffset + min(skipped, segment.fileSize),
            fileSize: segment.fileSize - min(skipped, segment.fileSize))
        } else if before.end > segment.physical.start, let kept = PhysicalRange(before.start, segment.physical.start) {
          findings.append(
            DumpError(
              "p_memsz of the segment at \(hex(before.start)) runs into the segment at \(hex(segment.physical.start))",
              at: name, advice: "it ends there"))
          segments[other].physical = kept
        }
      }
      ends[mapping] = index
    }
    if count > 8 { findings.append(DumpError("and \(count - 8) more overlaps", at: name)) }
    if !gone.isEmpty { segments = segments.indices.filter { !gone.contains($0) }.map { segments[$0] } }
  }

  /// Rule 6.
  private mutating func boundZeros(_ name: String, _ findings: inout [DumpError]) {
    var left = SegmentClaims.promisedZerosLimit
    for index in segments.indices {
      let segment = segments[index]
      let zeros = segment.physical.count - segment.fileSize
      if zeros > left {
        findings.append(
          DumpError(
            "the segment at \(hex(segment.physical.start)) promises \(humanBytes(zeros)) of zeros that the file does not have",
            at: name, advice: "\(humanBytes(left)) of them are believed"))
        segments[index].physical.end = segment.physical.start + segment.fileSize + left
      }
      left -= min(left, zeros)
    }
    segments.removeAll { $0.physical.start >= $0.physical.end }
  }
}
