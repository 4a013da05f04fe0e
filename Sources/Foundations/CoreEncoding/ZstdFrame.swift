internal import DumpBasics

/// The shape of zstd frames (RFC 8878, 3.1.1) as far as a file is walked by them: nothing here inflates
/// anything.
public struct ZstdFrame: Sendable, Equatable {
  /// First four bytes of a frame, little-endian.
  public static let magic: UInt32 = 0xfd2f_b528
  /// First four bytes of a frame that decoders skip; the last hexadecimal digit is free.
  static let skippableMagic: UInt32 = 0x184d_2a50
  /// The longest header of a frame.
  public static let longestHeader = 18
  /// A block's header: last (1 bit), type (2 bits), size (21 bits).
  public static let blockHeaderSize = 3

  /// Bytes before the first block.
  public var headerSize: Int
  /// What the frame says it holds. Nil where it does not say.
  public var contentSize: UInt64?
  /// Whether 4 bytes of checksum follow the last block.
  public var hasChecksum: Bool
  /// Whether it needs a dictionary, which a dump has not.
  public var needsDictionary: Bool
  /// For a skippable frame: bytes of its content, which follow the header. It has no blocks.
  public var skippedSize: UInt64?

  /// Whether a file that begins so is zstd.
  public static func isZstd(_ bytes: [UInt8]) -> Bool {
    guard let first = ByteReader(bytes, .little).u32(0) else { return false }
    return first == magic || first & ~0xf == skippableMagic
  }

  /// Nil when `bytes` do not begin with the whole header of a frame.
  public init?(_ bytes: [UInt8]) {
    let reader = ByteReader(bytes, .little)
    guard let first = reader.u32(0) else { return nil }
    if first & ~0xf == ZstdFrame.skippableMagic {
      guard let size = reader.u32(4) else { return nil }
      self.init(headerSize: 8, contentSize: 0, hasChecksum: false, needsDictionary: false, skippedSize: UInt64(size))
      return
    }
    guard first == ZstdFrame.magic, let descriptor = reader.u8(4), descriptor & 0x08 == 0 else { return nil }
    let isSingleSegment = descriptor & 0x20 != 0
    let dictionarySize = [0, 1, 2, 4][Int(descriptor & 3)]
    let sizeField = [isSingleSegment ? 1 : 0, 2, 4, 8][Int(descriptor >> 6)]
    let position = 5 + (isSingleSegment ? 0 : 1) + dictionarySize
    guard bytes.count >= position + sizeField else { return nil }
    var content = sizeField == 0 ? nil : reader.load(position, sizeField)
    // The field of two bytes counts from 256.
    if sizeField == 2 { content = content.map { $0 + 256 } }
    self.init(
      headerSize: position + sizeField, contentSize: content, hasChecksum: descriptor & 0x04 != 0,
      needsDictionary: dictionarySize > 0 && reader.load(position - dictionarySize, dictionarySize) != 0, skippedSize: nil)
  }

  private init(headerSize: Int, contentSize: UInt64?, hasChecksum: Bool, needsDictionary: Bool, skippedSize: UInt64?) {
    self.headerSize = headerSize
    self.contentSize = contentSize
    self.hasChecksum = hasChecksum
    self.needsDictionary = needsDictionary
    self.skippedSize = skippedSize
  }

  /// Bytes that follow a block's header, and whether it is the last block. Nil for the reserved type.
  public static func block(_ header: [UInt8]) -> (size: UInt64, isLast: Bool)? {
    guard header.count >= blockHeaderSize else { return nil }
    let word = UInt32(header[0]) | UInt32(header[1]) << 8 | UInt32(header[2]) << 16
    switch word >> 1 & 3 {
    case 0, 2: return (UInt64(word >> 3), word & 1 != 0)
    case 1: return (1, word & 1 != 0)  // one byte, over and over
    default: return nil
    }
  }

  /// A frame of one raw block without checksum: its size is known before its content (the footer of a dump,
  /// which has a checksum of its own). `bytes` are at most 255.
  public static func stored(_ bytes: [UInt8]) -> [UInt8] {
    precondition(bytes.count <= 255)
    var writer = ByteWriter(.little)
    writer.u32(magic)
    writer.u8(0x20)  // single segment, one byte of content size
    writer.u8(UInt8(bytes.count))
    let block = UInt32(bytes.count) << 3 | 1  // the last block, raw
    writer.append([UInt8(truncatingIfNeeded: block), UInt8(truncatingIfNeeded: block >> 8), 0])
    writer.append(bytes)
    return writer.bytes
  }

  public static func storedSize(_ count: Int) -> Int { 9 + count }
}

/// The seek table of the zstd seekable format, in a skippable frame at the end of the file
/// (zstd, contrib/seekable_format/zstd_seekable_compression_format.md, version 0.1.0).
public struct ZstdSeekTable: Sendable, Equatable {
  public struct Entry: Sendable, Equatable {
    public var compressed: UInt32
    public var content: UInt32
    public init(compressed: UInt32, content: UInt32) {
      self.compressed = compressed
      self.content = content
    }
  }

  static let frameMagic: UInt32 = 0x184d_2a5e
  static let footerMagic: UInt32 = 0x8f92_eab1
  /// Number of frames, descriptor, magic.
  public static let footerSize = 9
  /// The format's own limit.
  static let mostFrames = 0x800_0000

  public var entries: [Entry]
  public init(_ entries: [Entry]) { self.entries = entries }

  /// The whole skippable frame. Frames carry checksums of their own, so the table has none.
  public func encoded() -> [UInt8] {
    var writer = ByteWriter(.little)
    writer.u32(ZstdSeekTable.frameMagic)
    writer.u32(UInt32(entries.count * 8 + ZstdSeekTable.footerSize))
    for entry in entries {
      writer.u32(entry.compressed)
      writer.u32(entry.content)
    }
    writer.u32(UInt32(entries.count))
    writer.u8(0)
    writer.u32(ZstdSeekTable.footerMagic)
    return writer.bytes
  }

  /// Bytes of the whole skippable frame of which these are the last nine, or nil when they are none's.
  public static func frameSize(_ footer: [UInt8]) -> UInt64? {
    let reader = ByteReader(footer, .little)
    guard footer.count == footerSize, reader.u32(5) == footerMagic, let count = reader.u32(0), count <= mostFrames,
      let descriptor = reader.u8(4), descriptor & 0x7c == 0
    else { return nil }
    return 8 + UInt64(count) * (descriptor & 0x80 == 0 ? 8 : 12) + UInt64(footerSize)
  }

  /// Nil when these are not the bytes of one whole table.
  public init?(_ frame: [UInt8]) {
    let reader = ByteReader(frame, .little)
    guard frame.count >= 8 + ZstdSeekTable.footerSize,
      ZstdSeekTable.frameSize(Array(frame.suffix(ZstdSeekTable.footerSize))) == UInt64(frame.count),
      reader.u32(0) == ZstdSeekTable.frameMagic, reader.u32(4) == UInt32(frame.count - 8),
      let count = reader.u32(frame.count - ZstdSeekTable.footerSize)
    else { return nil }
    let step = (frame.count - 8 - ZstdSeekTable.footerSize) / max(1, Int(count))
    entries = (0..<Int(count)).compactMap { index in
      guard let compressed = reader.u32(8 + index * step), let content = reader.u32(12 + index * step) else { return nil }
      return Entry(compressed: compressed, content: content)
    }
  }
}
