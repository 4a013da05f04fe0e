internal import CoreEncoding
public import DumpBasics
internal import LinuxSystem

/// An ELF core, plain or compressed: /proc/vmcore, a dump of ours, a core of makedumpfile or of QEMU.
public final class ELFSource: DumpSource {
  public let identity: MachineIdentity
  public let segments: [MemorySegment]
  public let notes: [DumpNote]
  public let largeNotes: [LargeNote]
  public let shortfall: Shortfall?
  public let findings: [DumpError]
  public let metadata: MCoreMetadata?
  private let content: any Content
  /// The same without what mends its start.
  private let file: any Content
  private let pieces: [Coverage]

  public var name: String { content.name }
  public var isLive: Bool { file.isLive }

  init(_ file: any Content) throws(DumpError) {
    var findings: [DumpError] = []
    // The start of a dump of ours stands in it twice.
    let content = file.isLive ? file : SecondHead.mended(file, &findings)
    self.content = content
    self.file = file
    let name = content.name
    if let damage = content.damage { findings.append(damage) }
    let claims = try HeaderClaims(content, &findings)
    var entries = claims.programHeaders
    var noteFindings: [DumpError] = []
    var noted = NoteClaims(entries, claims, content, &noteFindings)
    var endFindings: [DumpError] = []
    var metadata = ELFSource.metadata(noted.notes, content, &endFindings)
    if let own = metadata, own.trailer == nil, ELFSource.isRewritten(own.note, entries, content) {
      endFindings = [
        DumpError(
          "another tool has rewritten a dump of mcore and left its note in it: the note is not used", at: content.name,
          advice: "what that tool left out reads as zeros")
      ]
      metadata = nil
    }
    self.metadata = metadata
    findings += endFindings
    if metadata == nil {
      // Our own headers are in another order, and have checksums.
      let witnesses = SegmentWitnesses(claims, noted.notes, content)
      findings += witnesses.findings
      if witnesses.entries.contains(where: { $0.type == ELFProgramHeader.note })
        && !entries.contains(where: { $0.type == ELFProgramHeader.note })
      {
        noteFindings = []
        noted = NoteClaims(witnesses.entries, claims, content, &noteFindings)
      }
      entries = witnesses.entries
    }
    findings += noteFindings
    try OtherCore.refuse(entries, noted.notes, name)
    let segments = try SegmentClaims(claims, entries, name, isLive: content.isLive, &findings).segments
    if claims.isMarkedIncomplete {
      findings.append(
        DumpError("e_flags says that the program which wrote this could not finish it", at: "\(name), offset 0x30"))
    }

    // Every sum was checked in `segments`, and notes are looked at as far as they are there.
    let expected = segments.map { $0.fileOffset + $0.fileSize }.max() ?? 0
    let shortfall = expected > content.size ? Shortfall(expected: expected, present: content.size) : nil
    if let shortfall {
      findings.append(
        DumpError(
          "the file is cut: \(humanBytes(shortfall.present)) of \(humanBytes(shortfall.expected)) are there", at: name,
          advice: "what is missing is named and left out"))
    }
    identity = claims.header.identity
    self.segments = segments
    notes = noted.notes
    largeNotes = noted.large
    self.shortfall = shortfall
    let hole = metadata.flatMap { PhysicalRange(start: $0.note.holeOffset, count: $0.note.holeSize) }
    pieces = Coverage.of(segments, present: content.size, hole: hole.map { $0.start..<$0.end } ?? 0..<0)
    // Of a dump of ours that is cut the hole may be all that is known.
    guard metadata != nil || pieces.contains(where: { if case .data = $0.kind { true } else { false } }) else {
      throw DumpError(
        "the file holds headers and no memory", at: name,
        advice: segments.contains { $0.fileSize > 0 } ? "it is cut" : "its memory is in other files, or was never written")
    }
    // A few bytes are the end of a page.
    let promised = pieces.reduce(UInt64(0)) { $1.kind == .zeros ? clampedSum($0, $1.range.count) : $0 }
    if metadata == nil, promised >= 1 << 12 {
      findings.append(
        DumpError(
          "\(humanBytes(promised)) of memory have no data: they are zero, or were left out by the tool that wrote this file",
          at: name))
    }
    self.findings = findings
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

  public func readLargeNote(
    _ note: LargeNote, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DumpError) {
    unsafe try note.read(from: content, at: offset, into: buffer)
  }

  /// Uncompressed bytes that are there and belong to the dump.
  public var contentSize: UInt64 { min(content.size, metadata?.trailer == nil ? .max : metadata?.fileSize ?? .max) }
  public var bytesBehind: UInt64 { clampedSum(content.bytesBehind, content.size - contentSize) }
  /// Whether each block is compared with a checksum of its own as it is read. Else those of the trailer are
  /// all that there is.
  public var hasBlockChecksums: Bool { content is any CompressedContent && content.ending != nil }
  /// Whether bytes that are there are wrong, as far as opening the file showed.
  public var isCorrupt: Bool {
    // A dump of ours that ends as it should and has no trailer was changed, not cut.
    content.isCorrupt || (content.isEnded && metadata != nil && metadata?.trailer == nil)
  }
  public var isCompressed: Bool { !(file is PlainContent) }
  /// The format's name, as `--format` takes it.
  public var format: String { content.format }

  // MARK: taking the headers apart

  /// Whether the file is whole by its headers and has another layout than the note of ours in it says, as
  /// `makedumpfile -E` leaves it. What is cut of a dump of ours ends before its headers say that it does.
  private static func isRewritten(_ note: MCoreNote, _ entries: [ELFProgramHeader], _ content: any Content) -> Bool {
    let end =
      entries.lazy.filter { $0.type == ELFProgramHeader.load && $0.fileSize > 0 }
      .map { clampedSum($0.offset, $0.fileSize) }.max() ?? 0
    guard let stated = note.passEnds.last, stated > 0 else { return false }
    return end > 0 && end == content.size && end != stated
  }

  private static func metadata(
    _ notes: [DumpNote], _ content: any Content, _ findings: inout [DumpError]
  ) -> MCoreMetadata? {
    guard let own = notes.first(where: { $0.name == MCoreNote.name && $0.type == MCoreNote.type }) else { return nil }
    do throws(DumpError) {
      var metadata = MCoreMetadata(note: try MCoreNote(own.descriptor, at: "\(content.name), note MCORE"))
      do throws(DumpError) {
        if let (trailer, size) = try trailer(metadata.note, content, &findings) {
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

  private static func trailer(
    _ note: MCoreNote, _ content: any Content, _ findings: inout [DumpError]
  ) throws(DumpError) -> (DumpTrailer, UInt64)? {
    // A plain dump that was compressed by another tool ends like a plain one.
    guard let ending = content.ending ?? content.plainEnding() else {
      guard let (ending, hasFooter) = content.ending(at: note.trailerOffset) else { return nil }
      if hasFooter { return (ending.trailer, ending.footer.fileSize) }
      findings.append(
        DumpError("the footer, the last 64 bytes, is missing or damaged: the trailer was found without it", at: content.name))
      return (ending.trailer, content.size)
    }
    guard ending.footer.trailerOffset == note.trailerOffset else {
      throw DumpError(
        "the note says that the trailer stands at \(hex(note.trailerOffset)), the footer at \(hex(ending.footer.trailerOffset))",
        at: content.name, advice: "the trailer is not used")
    }
    return (ending.trailer, ending.footer.fileSize)
  }
}
