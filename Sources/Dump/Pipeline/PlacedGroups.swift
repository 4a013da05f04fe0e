internal import CoreFormat
internal import DumpBasics
internal import DumpTarget

/// Groups of a plain file, each written to its place by the thread that made it: the plan has fixed all
/// offsets, so nobody has to wait for the groups before.
///
/// A file whose writer is killed then has zeros where groups are missing, and nothing in it says so. So its
/// first bytes, ELF's identification, are held back until all before the end is there: until then the file is
/// no dump to any reader.
struct PlacedGroups: Sendable {
  private let writer: any PlacedWriter
  private let identification: [UInt8]
  /// ELF's `e_ident` (ELF specification, "ELF Header"): bytes.
  private static let identificationSize = 16

  /// Nil where the format's offsets are not known before, or `sink` takes bytes in order alone.
  init?(_ format: OutputFormat, _ header: [UInt8], _ sink: any DumpSink) throws(DumpError) {
    guard format == .elf, sink.canRewrite, header.count >= PlacedGroups.identificationSize,
      let writer = try sink.placedWriter()
    else { return nil }
    self.writer = writer
    identification = Array(header.prefix(PlacedGroups.identificationSize))
  }

  /// `offset` is that of the group in the file.
  func write(_ group: EncodedGroup, at offset: UInt64) throws(DumpError) {
    var place = offset
    try unsafe group.forEachPart(
      bytes: { (piece) throws(DumpError) in
        let held = place == 0 ? min(piece.count, PlacedGroups.identificationSize) : 0
        unsafe try writer.write(UnsafeRawBufferPointer(rebasing: piece[held...]), at: place + UInt64(held))
        place += UInt64(piece.count)
      },
      zeros: { (length) throws(DumpError) in place += UInt64(length) })
  }

  /// Every group up to where the file ends is in its place.
  func complete(_ sink: any DumpSink) throws(DumpError) { try sink.rewrite(at: 0, identification) }
}
