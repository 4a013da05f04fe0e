public import DumpBasics

/// What is known only when everything is written: it stands after the last segment. docs/format.md, "The
/// trailer".
public struct DumpTrailer: Sendable, Equatable {
  public static let magic = "MCORTRLR"
  /// Blocks of 61,440 bytes between two entries of the index.
  public static let blocksPerGroup = 16
  /// Uncompressed bytes of a whole group.
  public static let groupSize = BGZF.blockSize * blocksPerGroup
  /// Groups that `size` uncompressed bytes take; the last one may be shorter.
  public static func groups(in size: UInt64) -> UInt64 {
    size / UInt64(groupSize) + (size % UInt64(groupSize) == 0 ? 0 : 1)
  }

  /// Memory that was selected and could not be read: its place holds the poison pattern.
  public var unreadable: [PhysicalRange] = []
  /// Pages that were read a second time at the end, and those of them that had changed.
  public var sampledPages: UInt64 = 0
  public var changed: [PhysicalRange] = []
  /// Pages of zeros that are in line, not in the hole. Nil in dumps of before 2026-11-24, whose note counts
  /// them too.
  public var zeroPages: UInt64?
  /// For each group of blocks of the uncompressed file before the trailer: CRC-32 of its content.
  public var groupChecksums: [UInt32] = []
  /// For each group: where its first member begins in the compressed file. Empty in a format without members.
  public var groupOffsets: [UInt64] = []
  /// The start of the file once more. Nil in dumps of format 1.0.
  public var secondHead: SecondHeadRecord?

  public init() {}

  private enum Kind {
    static let unreadable: UInt32 = 1
    static let checksums: UInt32 = 2
    static let offsets: UInt32 = 3
    static let sample: UInt32 = 4
    static let zeros: UInt32 = 5
    static let secondHead: UInt32 = 6
  }

  public func encoded(_ architecture: Architecture, _ pageSize: PageSize) -> [UInt8] {
    var sample = ByteWriter()
    sample.u64(sampledPages)
    sample.append(DumpTrailer.encoded(changed))
    var checksums = ByteWriter()
    for checksum in groupChecksums { checksums.u32(checksum) }
    var offsets = ByteWriter()
    for offset in groupOffsets { offsets.u64(offset) }
    var zeros = ByteWriter()
    if let zeroPages { zeros.u64(zeroPages) }
    return Envelope(
      magic: DumpTrailer.magic, architecture, pageSize,
      [
        .init(Kind.unreadable, DumpTrailer.encoded(unreadable)), .init(Kind.checksums, checksums.bytes),
        .init(Kind.offsets, offsets.bytes), .init(Kind.sample, sample.bytes), .init(Kind.zeros, zeros.bytes),
      ] + (secondHead.map { [.init(Kind.secondHead, $0.encoded)] } ?? [])
    ).encoded()
  }

  public init(_ bytes: [UInt8], at place: String) throws(DumpError) {
    let envelope = try Envelope(bytes, magic: DumpTrailer.magic, at: place)
    unreadable = try DumpTrailer.ranges(envelope.payload(Kind.unreadable) ?? [], from: 0, at: place)
    // Dumps of before 2026-11-23 have none.
    let sample = envelope.payload(Kind.sample) ?? []
    sampledPages = ByteReader(sample, .little).u64(0) ?? 0
    changed = try DumpTrailer.ranges(sample, from: 8, at: place)
    zeroPages = ByteReader(envelope.payload(Kind.zeros) ?? [], .little).u64(0)
    let checksums = ByteReader(envelope.payload(Kind.checksums) ?? [], .little)
    groupChecksums = (0..<checksums.count / 4).compactMap { checksums.u32($0 * 4) }
    secondHead = envelope.payload(Kind.secondHead).flatMap(SecondHeadRecord.init)
    let offsets = ByteReader(envelope.payload(Kind.offsets) ?? [], .little)
    groupOffsets = (0..<offsets.count / 8).compactMap { offsets.u64($0 * 8) }
  }

  private static func encoded(_ ranges: [PhysicalRange]) -> [UInt8] {
    var writer = ByteWriter()
    for range in ranges {
      writer.u64(range.start)
      writer.u64(range.end)
    }
    return writer.bytes
  }

  private static func ranges(_ bytes: [UInt8], from first: Int, at place: String) throws(DumpError) -> [PhysicalRange] {
    let reader = ByteReader(bytes, .little)
    var ranges: [PhysicalRange] = []
    for offset in stride(from: first, through: bytes.count - 16, by: 16) {
      guard let start = reader.u64(offset), let end = reader.u64(offset + 8), let range = PhysicalRange(start, end)
      else { throw DumpError("trailer: range \(offset / 16) is damaged", at: place) }
      ranges.append(range)
    }
    return RangeSet.joined(ranges)
  }
}

/// The last 64 bytes of the uncompressed file: leads to the trailer without walking the file.
/// In `elf.gz` it is a stored member of its own, 95 bytes long, right before the end-of-file member.
///
///     0  magic "MCOREEND"          32  uncompressed size of the trailer, u64
///     8  major, minor, u16 each    40  compressed offset of the trailer's first member, u64
///    12  CRC-32 of the 64 bytes,   48  zeros
///        this field taken as 0
///    16  uncompressed offset of the trailer, u64
///    24  uncompressed size of the whole file, u64
public struct DumpFooter: Sendable, Equatable {
  public static let size = 64
  static let magic = "MCOREEND"
  public var trailerOffset: UInt64
  public var fileSize: UInt64
  public var trailerSize: UInt64
  public var compressedTrailerOffset: UInt64

  public init(trailerOffset: UInt64, fileSize: UInt64, trailerSize: UInt64, compressedTrailerOffset: UInt64) {
    self.trailerOffset = trailerOffset
    self.fileSize = fileSize
    self.trailerSize = trailerSize
    self.compressedTrailerOffset = compressedTrailerOffset
  }

  private func encoded(checksum: UInt32) -> [UInt8] {
    var writer = ByteWriter(.little)
    writer.append(DumpFooter.magic.utf8)
    writer.u16(Envelope.majorVersion)
    writer.u16(Envelope.minorVersion)
    writer.u32(checksum)
    for value in [trailerOffset, fileSize, trailerSize, compressedTrailerOffset] { writer.u64(value) }
    writer.zeros(DumpFooter.size - writer.count)
    return writer.bytes
  }

  public func encoded() -> [UInt8] { encoded(checksum: CRC32.of(encoded(checksum: 0))) }

  /// Nil when these are not 64 bytes of a footer in this version, whole and with the right checksum.
  public init?(_ bytes: [UInt8]) {
    let reader = ByteReader(bytes, .little)
    guard bytes.count == DumpFooter.size, reader.text(0, limit: 8) == DumpFooter.magic,
      reader.u16(8) == Envelope.majorVersion, let trailer = reader.u64(16), let file = reader.u64(24),
      let size = reader.u64(32), let compressed = reader.u64(40)
    else { return nil }
    self.init(trailerOffset: trailer, fileSize: file, trailerSize: size, compressedTrailerOffset: compressed)
    guard encoded() == bytes else { return nil }
  }
}
