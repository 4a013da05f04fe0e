public import DumpBasics

/// Record 6 of the trailer: ELF header, program headers and notes once more, since the start of the file is
/// the one place where they stand.
///
///      0  bytes of the start of the file that it stands for, u64
///      8  CRC-32 of them, u32
///     12  zeros, u32
///     16  the bytes, as BGZF members of 61,440 bytes of content (the last one shorter)
public struct SecondHeadRecord: Sendable, Equatable {
  /// Bytes of the start of the file.
  public let size: UInt64
  /// CRC-32 of these.
  public let checksum: UInt32
  private let members: [UInt8]

  private static let headerSize = 16
  /// No start of a file is larger: a million program headers take 56 MB, and the notes that are held 64 MiB.
  private static let sizeLimit: UInt64 = 256 << 20

  /// Compresses `head`, the start of a dump file.
  public init(of head: [UInt8]) throws(DumpError) {
    size = UInt64(head.count)
    checksum = CRC32.of(head)
    let compressor = try BGZFCompressor()
    var members: [UInt8] = []
    var member = [UInt8](repeating: 0, count: BGZF.maximumMember)
    for start in stride(from: 0, to: head.count, by: BGZF.blockSize) {
      let block = head[start..<min(head.count, start + BGZF.blockSize)]
      let count = unsafe block.withUnsafeBytes { input in
        unsafe member.withUnsafeMutableBytes { unsafe compressor.member(input, into: $0).count }
      }
      members += member[..<count]
    }
    self.members = members
  }

  public var encoded: [UInt8] {
    var writer = ByteWriter(.little, capacity: SecondHeadRecord.headerSize + members.count)
    writer.u64(size)
    writer.u32(checksum)
    writer.u32(0)
    writer.append(members)
    return writer.bytes
  }

  /// Nil where these bytes can be none.
  init?(_ bytes: [UInt8]) {
    let reader = ByteReader(bytes, .little)
    guard let size = reader.u64(0), let checksum = reader.u32(8), bytes.count > SecondHeadRecord.headerSize else { return nil }
    // Deflate makes nothing smaller than by 1,032 times.
    guard size <= SecondHeadRecord.sizeLimit, size <= UInt64(bytes.count) * 1032 else { return nil }
    self.size = size
    self.checksum = checksum
    members = Array(bytes[SecondHeadRecord.headerSize...])
  }

  /// The start of the file. `place` is for errors.
  public func content(at place: String) throws(DumpError) -> [UInt8] {
    let inflater = try BGZFInflater()
    var head: [UInt8] = []
    var position = 0
    while position < members.count, UInt64(head.count) < size {
      guard let count = BGZF.memberSize(Array(members[position..<min(members.count, position + BGZF.headerSize)])),
        count <= members.count - position
      else { throw DumpError("the second head is damaged", at: place) }
      head += try inflater.content(of: members[position..<position + count], at: place)
      position += count
    }
    guard UInt64(head.count) == size, CRC32.of(head) == checksum else {
      throw DumpError("the second head is damaged", at: place)
    }
    return head
  }
}
