internal import CoreEncoding
public import DumpBasics
internal import LinuxSystem

/// The index of a BGZF file in bgzip's form (`.gzi`): the number of entries, then for each block but the
/// first its place in the file and in the content, in numbers of 64 bits, little-endian.
public struct BGZFIndex: Sendable, Equatable {
  public var entries: UInt64
  /// Of the content.
  public var size: UInt64

  private static let pieceSize = 1 << 20

  /// Writes the index of the dump `path` to `out`. It goes from block to block by their headers and inflates
  /// nothing; of the index it holds 1 MiB at most.
  ///
  /// - Throws: when `path` is no BGZF, or is cut or damaged: an index of a part would look like one of all.
  public init(of path: String, to out: String) throws(DumpError) {
    let path = try dumpFile(path)
    let file = try File.seekable(path)
    let fileSize = try file.size()
    let index = try File(out, .replace)
    var buffer = ByteWriter(.little, capacity: BGZFIndex.pieceSize)
    var written: UInt64 = 0
    func flush() throws(DumpError) {
      try index.write(buffer.bytes, at: written)
      written += UInt64(buffer.bytes.count)
      buffer = ByteWriter(.little, capacity: BGZFIndex.pieceSize)
    }
    buffer.u64(0)
    entries = 0
    size = 0
    var position: UInt64 = 0
    var header = try file.bytes(at: 0, count: BGZF.headerSize)
    var endsWithMark = false
    while position < fileSize {
      guard let member = BGZF.memberSize(header), UInt64(member) <= fileSize - position else {
        if position == 0 {
          throw DumpError(
            "this is no BGZF file: only elf.gz and what bgzip writes has such an index", at: path,
            advice: "mcore convert --format elf.gz writes one")
        }
        throw DumpError(
          "no whole BGZF block here", at: "\(path), offset \(hex(position))", advice: "mcore repair writes a sound file")
      }
      let next = position + UInt64(member)
      let tail = try file.bytes(at: next - 4, count: 4 + BGZF.headerSize)
      guard let content = ByteReader(tail, .little).u32(0), content <= UInt32(BGZF.maximumMember) else {
        throw DumpError("damaged block", at: "\(path), offset \(hex(position))", advice: "mcore repair writes a sound file")
      }
      if position > 0, content > 0 {
        buffer.u64(position)
        buffer.u64(size)
        entries += 1
      }
      size += UInt64(content)
      position = next
      endsWithMark = content == 0
      header = Array(tail.dropFirst(4))
      if buffer.bytes.count >= BGZFIndex.pieceSize { try flush() }
    }
    guard endsWithMark else {
      throw DumpError("the file has no end-of-file block: it is cut", at: path, advice: "mcore repair writes a sound file")
    }
    try flush()
    var count = ByteWriter(.little)
    count.u64(entries)
    try index.write(count.bytes, at: 0)
  }
}
