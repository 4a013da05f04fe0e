internal import CoreEncoding
internal import DumpBasics

/// A dump of ours whose start is damaged, read by its second head: ELF header, program headers and notes from
/// the trailer, all else from the file.
final class SecondHead: Content {
  private let file: any Content
  private let head: [UInt8]

  var name: String { file.name }
  var size: UInt64 { file.size }
  var format: String { file.format }
  var damage: DumpError? { file.damage }
  /// Bytes that are there are wrong.
  let isCorrupt = true
  var isEnded: Bool { file.isEnded }
  var ending: DumpEnding? { file.ending }

  private init(_ file: any Content, _ head: [UInt8]) {
    self.file = file
    self.head = head
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    var done = 0
    if offset < UInt64(head.count) {
      let start = Int(offset)
      done = min(buffer.count, head.count - start)
      unsafe buffer.copyBytes(from: head[start..<start + done])
    }
    if done < buffer.count {
      unsafe try file.read(at: offset + UInt64(done), into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]))
    }
  }

  /// `file`, or where its start is not what its trailer says of it a content that has the right one.
  static func mended(_ file: any Content, _ findings: inout [DumpError]) -> any Content {
    guard let record = file.ending?.trailer.secondHead, record.size <= file.size, checksum(file, record.size) != record.checksum
    else { return file }
    do throws(DumpError) {
      let head = try record.content(at: "\(file.name), trailer")
      findings.append(
        DumpError(
          "the start of the file is damaged: headers and notes are read from their second place", at: file.name,
          advice: "mcore repair writes a sound file"))
      return SecondHead(file, head)
    } catch {
      findings.append(error)
      return file
    }
  }

  /// Nil where the start can't be read.
  private static func checksum(_ file: any Content, _ size: UInt64) -> UInt32? {
    var checksum: UInt32 = 0
    var offset: UInt64 = 0
    while offset < size {
      let count = Int(min(size - offset, 1 << 20))
      guard let bytes = try? file.bytes(at: offset, count: count) else { return nil }
      checksum = unsafe bytes.withUnsafeBytes { unsafe CRC32.of($0, from: checksum) }
      offset += UInt64(count)
    }
    return checksum
  }
}
