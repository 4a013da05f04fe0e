internal import CoreEncoding
public import DumpBasics
internal import LinuxSystem

/// An ELF core, plain or compressed: /proc/vmcore, a dump of ours, a core of makedumpfile or of QEMU.
public final class ELFSource: DumpSource {
  public let identity: MachineIdentity
  public let segments: [MemorySegment]
  public let notes: [DumpNote]
  public let shortfall: Shortfall?
  public let findings: [DumpError]
  public let metadata: MCoreMetadata?
  private let content: any Content
  private let pieces: [Coverage]

  /// Notes larger than this in sum are taken for damage; a machine with 8192 CPUs has 3 MiB.
  private static let notesLimit: UInt64 = 64 << 20
  public var name: String { content.name }

  init(_ content: any Content) throws(DumpError) {
    self.content = content
    let name = content.name
    let start = try content.bytes(at: 0, count: Int(min(UInt64(ELF64.headerSize), content.size)))
    let header = try ELF64.decodeHeader(start, name: name)
    let programHeaders = try ELFSource.programHeaders(header, content)
    var findings: [DumpError] = []
    if let damage = content.damage { findings.append(damage) }
    let segments = try ELFSource.segments(programHeaders, header, name, &findings)
    let notes = ELFSource.notes(programHeaders, header, content, &findings)

    // Every sum was checked in `segments`, and notes are looked at as far as they are there.
    let expected = segments.map { $0.fileOffset + $0.fileSize }.max() ?? 0
    let shortfall = expected > content.size ? Shortfall(expected: expected, present: content.size) : nil
    if let shortfall {
      findings.append(
        DumpError(
          "the file is cut: \(humanBytes(shortfall.present)) of \(humanBytes(shortfall.expected)) are there", at: name,
          advice: "what is missing is named and left out"))
    }
    metadata = ELFSource.metadata(notes, content, &findings)
    identity = header.identity
    self.segments = segments
    self.notes = notes
    self.shortfall = shortfall
    self.findings = findings
    let hole = metadata.flatMap { PhysicalRange(start: $0.note.holeOffset, count: $0.note.holeSize) }
    pieces = Coverage.of(segments, present: content.size, hole: hole.map { $0.start..<$0.end } ?? 0..<0)
  }

  /// Worked out once, when the file was opened.
  public func coverage() -> [Coverage] { pieces }

  // MARK: reading

  public func read(at address: PhysicalAddress, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    var done = 0
    var index = pieces.partitionPoint { $0.range.end <= address.rawValue }
    while done < buffer.count {
      let here = address.rawValue + UInt64(done)
      guard index < pieces.count, pieces[index].range.contains(here) else {
        throw DumpError("physical address \(hex(here)) is not in the dump", at: name)
      }
      let piece = pieces[index]
      let count = min(buffer.count - done, Int(clamping: piece.range.end - here))
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
      switch piece.kind {
      case .data(let offset): unsafe try content.read(at: offset + (here - piece.range.start), into: part)
      case .zeros: unsafe part.initializeMemory(as: UInt8.self, repeating: 0)
      case .cut: throw DumpError("physical address \(hex(here)) was in the part of the file that is cut off", at: name)
      }
      done += count
      index += 1
    }
  }

  /// Bytes of the uncompressed file itself: for `verify` and for copying.
  public func readContent(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    unsafe try content.read(at: offset, into: buffer)
  }

  /// Uncompressed bytes that are there.
  public var contentSize: UInt64 { content.size }
  /// Whether bytes that are there are wrong, as far as opening the file showed.
  public var isCorrupt: Bool {
    // A dump of ours that ends as it should and has no trailer was changed, not cut.
    content.isCorrupt || (content.isEnded && metadata != nil && metadata?.trailer == nil)
  }
  public var isCompressed: Bool { content is any CompressedContent }
  /// The format's name, as `--format` takes it.
  public var format: String { content.format }

  // MARK: taking the headers apart

  private static func programHeaders(_ header: ELFHeader, _ content: any Content) throws(DumpError) -> [ELFProgramHeader] {
    let name = content.name
    var count = UInt64(header.programHeaderCount)
    if header.programHeaderCount == ELF64.extendedCount {
      guard header.sectionHeaderOffset != 0,
        header.sectionHeaderOffset <= content.size.subtractingReportingOverflow(UInt64(ELF64.sectionHeaderSize)).partialValue,
        content.size >= UInt64(ELF64.sectionHeaderSize)
      else {
        throw DumpError(
          "the number of program headers should stand at offset \(hex(header.sectionHeaderOffset)), past the end", at: name,
          advice: "the file is cut or damaged")
      }
      let section = try content.bytes(at: header.sectionHeaderOffset, count: ELF64.sectionHeaderSize)
      count = try ELF64.decodeExtendedCount(section, header.identity.byteOrder, name: name)
    }
    guard count > 0 else { throw DumpError("no program headers", at: "\(name), offset 0x38", advice: "this is no dump") }
    guard count <= ELF64.programHeaderLimit else {
      throw DumpError(
        "\(count) program headers are more than the limit of \(ELF64.programHeaderLimit)", at: name, advice: "the file is damaged"
      )
    }
    let length = count * UInt64(ELF64.programHeaderSize)
    let (end, overflow) = header.programHeaderOffset.addingReportingOverflow(length)
    guard !overflow, end <= content.size else {
      throw DumpError(
        "program headers at \(hex(header.programHeaderOffset)), \(length) bytes, run past the end at \(hex(content.size))",
        at: name, advice: "the file is cut or damaged")
    }
    let bytes = try content.bytes(at: header.programHeaderOffset, count: Int(length))
    return try ELF64.decodeProgramHeaders(bytes, header.identity.byteOrder, name: name)
  }

  private static func segments(
    _ programHeaders: [ELFProgramHeader], _ header: ELFHeader, _ name: String, _ findings: inout [DumpError]
  ) throws(DumpError) -> [MemorySegment] {
    let limit: UInt64 = 1 << header.identity.architecture.physicalAddressBits
    var segments: [MemorySegment] = []
    for (index, entry) in programHeaders.enumerated() where entry.type == ELFProgramHeader.load {
      let place =
        "\(name), program header \(index), offset \(hex(header.programHeaderOffset + UInt64(index * ELF64.programHeaderSize)))"
      if entry.memorySize == 0 { continue }
      // /proc/kcore and QEMU mark what has no physical address so.
      if entry.physicalAddress == .max {
        findings.append(DumpError("a segment without physical address is left out", at: place))
        continue
      }
      guard entry.fileSize <= entry.memorySize else {
        throw DumpError(
          "p_filesz \(hex(entry.fileSize)) is more than p_memsz \(hex(entry.memorySize))", at: place,
          advice: "the file is damaged")
      }
      guard !entry.offset.addingReportingOverflow(entry.fileSize).overflow else {
        throw DumpError(
          "p_offset \(hex(entry.offset)) + p_filesz \(hex(entry.fileSize)) is past 2^64", at: place, advice: "the file is damaged"
        )
      }
      guard let range = PhysicalRange(start: entry.physicalAddress, count: entry.memorySize), range.end <= limit else {
        throw DumpError(
          "p_paddr \(hex(entry.physicalAddress)) + p_memsz \(hex(entry.memorySize)) is past the largest physical address, \(hex(limit - 1))",
          at: place, advice: "the file is damaged")
      }
      segments.append(
        MemorySegment(
          physical: range, virtualAddress: entry.virtualAddress, flags: entry.flags, fileOffset: entry.offset,
          fileSize: entry.fileSize))
    }
    guard !segments.isEmpty else {
      throw DumpError("no PT_LOAD program header: the file holds no memory", at: name, advice: "this is no dump")
    }
    try checkOverlaps(segments, name)
    return segments
  }

  /// Memory may stand twice only under two virtual addresses, as kernel text does. The same mapping twice is
  /// damage.
  private static func checkOverlaps(_ segments: [MemorySegment], _ name: String) throws(DumpError) {
    var ends: [UInt64: (end: UInt64, segment: MemorySegment)] = [:]
    for segment in segments.sorted(by: { $0.physical.start < $1.physical.start }) {
      let mapping = segment.virtualAddress &- segment.physical.start  // wraps: kernel addresses are near 2^64
      if let other = ends[mapping], other.end > segment.physical.start {
        throw DumpError(
          "PT_LOADs overlap: \(other.segment.physical) and \(segment.physical) with one mapping", at: name,
          advice: "the file is damaged")
      }
      ends[mapping] = (segment.physical.end, segment)
    }
  }

  private static func notes(
    _ programHeaders: [ELFProgramHeader], _ header: ELFHeader, _ content: any Content, _ findings: inout [DumpError]
  ) -> [DumpNote] {
    var notes: [DumpNote] = []
    var total: UInt64 = 0
    for (index, entry) in programHeaders.enumerated() where entry.type == ELFProgramHeader.note && entry.fileSize > 0 {
      let place = "\(content.name), program header \(index)"
      total = total.addingReportingOverflow(entry.fileSize).partialValue
      let (end, overflow) = entry.offset.addingReportingOverflow(entry.fileSize)
      guard !overflow, end <= content.size, entry.fileSize <= notesLimit, total <= notesLimit else {
        findings.append(
          DumpError(
            "notes at \(hex(entry.offset)), \(entry.fileSize) bytes, run past the end or are too large", at: place,
            advice: "they are left out: registers and VMCOREINFO may be missing"))
        continue
      }
      do throws(DumpError) {
        let bytes = try content.bytes(at: entry.offset, count: Int(entry.fileSize))
        let decoded = ELF64.decodeNotes(bytes, header.identity)
        notes += decoded.notes
        if let damage = decoded.damage { findings.append(damage.inside("\(place), notes at \(hex(entry.offset))")) }
      } catch {
        findings.append(error.inside(place))
      }
    }
    if notes.isEmpty { findings.append(DumpError("no notes: no registers, no VMCOREINFO", at: content.name)) }
    return notes
  }

  private static func metadata(
    _ notes: [DumpNote], _ content: any Content, _ findings: inout [DumpError]
  ) -> MCoreMetadata? {
    guard let own = notes.first(where: { $0.name == MCoreNote.name && $0.type == MCoreNote.type }) else { return nil }
    do throws(DumpError) {
      var metadata = MCoreMetadata(note: try MCoreNote(own.descriptor, at: "\(content.name), note MCORE"))
      do throws(DumpError) {
        if let (trailer, size) = try trailer(metadata.note, content) {
          metadata.trailer = trailer
          metadata.fileSize = size
        }
      } catch {
        findings.append(error)
      }
      if metadata.trailer == nil {
        findings.append(DumpError("the dump has no trailer: it was not finished, or is cut", at: content.name))
      }
      return metadata
    } catch {
      findings.append(error)
      return nil
    }
  }

  private static func trailer(_ note: MCoreNote, _ content: any Content) throws(DumpError) -> (DumpTrailer, UInt64)? {
    if let ending = (content as? any CompressedContent)?.ending { return (ending.trailer, ending.footer.fileSize) }
    // A plain dump that was compressed by another tool ends like a plain one.
    guard content.size >= UInt64(DumpFooter.size) else { return nil }
    let last = try content.bytes(at: content.size - UInt64(DumpFooter.size), count: DumpFooter.size)
    guard let footer = DumpFooter(last), footer.fileSize == content.size, footer.trailerOffset == note.trailerOffset,
      footer.trailerOffset <= content.size, footer.trailerSize <= min(content.size - footer.trailerOffset, 1 << 31)
    else { return nil }
    let bytes = try content.bytes(at: footer.trailerOffset, count: Int(footer.trailerSize))
    return (try DumpTrailer(bytes, at: "\(content.name), trailer"), footer.fileSize)
  }
}
