public import DumpBasics
internal import LinuxSystem
internal import CoreEncoding

/// A disk or partition that takes one dump without a file system. Images of such disks are read as well.
public struct RawDisk: ~Copyable, Sendable {
  let file: File
  /// Of the disk, in bytes.
  let size: UInt64
  public var path: String { file.path }

  /// The disk that `word` names (`/dev/vdb2`, `PARTUUID=…`). For writing nobody else may have it: no file
  /// system that is mounted, no RAID, no device mapper.
  public init(_ word: String, forWriting: Bool) throws(DumpError) {
    let path = BlockDeviceName(word)?.resolve() ?? word
    let file = try File(path, forWriting ? .exclusive : .read)
    size = try file.size()
    self.file = file
  }

  /// How many bytes of a dump have room.
  package var room: UInt64 { size > 2 * RawHeader.margin ? size - 2 * RawHeader.margin : 0 }

  /// Nil where no dump is.
  public func header() throws(DumpError) -> RawHeader? {
    try RawHeader(try file.bytes(at: 0, count: RawHeader.size), at: path)
  }

  /// The first byte that is not zero where somebody else's marks would stand; the header itself is not looked
  /// at.
  private func foreignByte() throws(DumpError) -> UInt64? {
    let tail = size - min(size, RawHeader.margin)
    for range in [UInt64(RawHeader.size)..<RawHeader.margin, tail..<size] where !range.isEmpty {
      let bytes = try file.bytes(at: range.lowerBound, count: Int(range.upperBound - range.lowerBound))
      if let index = bytes.firstIndex(where: { $0 != 0 }) { return range.lowerBound + UInt64(index) }
    }
    return nil
  }

  /// - Throws: where it may not be written to.
  package func requireFree() throws(DumpError) {
    let start = try file.bytes(at: 0, count: RawHeader.size)
    let header: RawHeader?
    do throws(DumpError) {
      header = try RawHeader(start, at: path)
    } catch {
      throw DumpError(.usage, "\(error.what): nothing is overwritten", at: path, advice: RawDisk.advice)
    }
    if let header, header.state != .saved {
      throw DumpError(
        .usage, "it holds the dump \(header.name), which is not saved yet: nothing is overwritten", at: path,
        advice: "mcore save raw:\(path) DIRECTORY saves it")
    }
    let first = header == nil ? start.firstIndex { $0 != 0 }.map { UInt64($0) } : nil
    let foreign = if let first { Optional(first) } else { try foreignByte() }
    if let offset = foreign {
      throw DumpError(
        .usage, "there is something on it that mcore did not write: nothing is overwritten", at: "\(path), offset \(hex(offset))",
        advice: RawDisk.advice)
    }
  }

  private static let advice = "if it is not needed, fill the first MiB and the last one with zeros, or say force=yes"

  func write(_ header: RawHeader) throws(DumpError) {
    try file.write(header.encoded(), at: 0)
    try file.synchronize()
  }

  /// Zeros where somebody else's marks are, or were.
  func clearMargins() throws(DumpError) {
    let zeros = [UInt8](repeating: 0, count: Int(RawHeader.margin))
    try file.write(zeros, at: 0)
    try file.write(zeros, at: size - RawHeader.margin)
  }

  // MARK: for those who save it

  /// How much of the dump can be on the disk; a claim of the header is no more than that.
  public func length(of header: RawHeader) -> UInt64 { min(header.length, room) }

  /// `count` bytes of the dump at `offset`, fewer where the disk ends.
  public func bytes(at offset: UInt64, count: Int) throws(DumpError) -> [UInt8] {
    try file.bytes(at: RawHeader.margin + offset, count: count)
  }

  /// The disk may be written over from now on.
  public func markSaved(_ header: RawHeader) throws(DumpError) {
    var saved = header
    saved.state = .saved
    try write(saved)
  }
}
