internal import CoreEncoding
public import DumpBasics
internal import LinuxSystem

/// A disk or partition, set aside for the little that can be kept when no target took a dump: text, which a
/// person reads with `dd` and `less` if nothing else is at hand. docs/last-resort.md.
///
/// It has up to 8 slots of 256 KiB. A slot is a line of 64 bytes (magic, length and CRC-32 of the text) and
/// the text; the rest is zeros. Nothing but zeros and such slots is ever written over.
public struct LastResort: ~Copyable {
  public static let slotSize: UInt64 = 256 << 10
  static let slotLimit: UInt64 = 8
  static let headerSize = 64
  static let magic = "MCORE-LAST-RESORT 1 "
  /// What is looked at behind the slots: a spare partition table and some RAID superblocks stand at the end
  /// of a disk.
  private static let tailSize: UInt64 = 1 << 20

  private let file: File
  /// Bytes of a slot, and how many there are.
  private let slot: UInt64
  private let slots: UInt64
  private let size: UInt64

  /// Nothing when `word` can't name a disk.
  public static func isDevice(_ word: String) -> Bool { BlockDeviceName(word) != nil }

  /// The path of the device that `word` names, or nil while it is not there.
  package static func devicePath(_ word: String) -> String? { BlockDeviceName(word)?.resolve() }

  /// The disk that `word` names (`/dev/vdb2`, `PARTUUID=…`), or an image of one, for reading or for writing.
  /// For writing nobody else may have it: no file system that is mounted, no RAID, no device mapper.
  public init(_ word: String, forWriting: Bool) throws(DumpError) {
    let path = BlockDeviceName(word)?.resolve() ?? word
    let file = try File(path, forWriting ? .exclusive : .read)
    let size = try file.size()
    guard size >= 4096 else {
      throw DumpError(.usage, "it has \(size) bytes: too small", at: path, advice: "name a disk or partition of 256 KiB or more")
    }
    self.file = file
    self.size = size
    slot = min(size & ~4095, LastResort.slotSize)
    slots = min(LastResort.slotLimit, size / slot)
  }

  /// How much text a slot takes, in bytes.
  public var capacity: Int { Int(slot) - LastResort.headerSize }

  /// What a slot holds.
  public enum Content: Sendable, Equatable {
    case nothing
    case text([UInt8])
    /// It begins as a slot does, and its text is not what was written.
    case damaged
    /// Something of somebody else: where its first byte stands.
    case foreign(UInt64)
  }

  public func contents() throws(DumpError) -> [Content] {
    var all: [Content] = []
    for index in 0..<slots { all.append(try content(index)) }
    return all
  }

  /// Writes `text`, of which what is beyond `capacity` is lost, to the first slot that is free. Where none
  /// is, to the last one: what came first says most about why one crash follows another. It is on the device
  /// after this.
  /// - Throws: where anything but zeros and slots is in the way.
  public func write(_ text: [UInt8]) throws(DumpError) {
    let contents = try ownContents()
    if let offset = try firstByte(from: max(slots * slot, size - min(size, LastResort.tailSize)), to: size) {
      throw occupied(offset)
    }
    let chosen = contents.firstIndex(of: .nothing) ?? contents.count - 1
    let text = Array(text.prefix(capacity))
    var bytes = Array(LastResort.header(text).utf8) + text
    bytes += [UInt8](repeating: 0, count: Int(slot) - bytes.count)
    try file.skip(UInt64(chosen) * slot)
    try file.write(bytes)
    try file.synchronize()
  }

  /// Makes the slots zeros again. What is somebody else's stays.
  public func clear() throws(DumpError) {
    _ = try ownContents()
    try file.write([UInt8](repeating: 0, count: Int(slot * slots)))
    try file.synchronize()
  }

  // MARK: slots

  /// `MCORE-LAST-RESORT 1 length=00001234 crc32=89abcdef`, blanks, and a newline as its 64th byte.
  static func header(_ text: [UInt8]) -> String {
    let line = "\(magic)length=\(padded(text.count, 8, radix: 16)) crc32=\(padded(CRC32.of(text), 8, radix: 16))"
    return line + String(repeating: " ", count: headerSize - 1 - line.utf8.count) + "\n"
  }

  /// - Throws: where one of the slots is somebody else's.
  private func ownContents() throws(DumpError) -> [Content] {
    let contents = try contents()
    for content in contents {
      if case .foreign(let offset) = content { throw occupied(offset) }
    }
    return contents
  }

  private func content(_ index: UInt64) throws(DumpError) -> Content {
    let bytes = try file.bytes(at: index * slot, count: Int(slot))
    guard bytes.starts(with: LastResort.magic.utf8) else {
      return bytes.firstIndex { $0 != 0 }.map { .foreign(index * slot + UInt64($0)) } ?? .nothing
    }
    let length = String(decoding: bytes.dropFirst(27).prefix(8), as: UTF8.self)
    guard let length = Int(length, radix: 16), length >= 0, length <= capacity, bytes.count >= LastResort.headerSize + length
    else {
      return .damaged
    }
    let text = Array(bytes[LastResort.headerSize..<LastResort.headerSize + length])
    return bytes.starts(with: LastResort.header(text).utf8) ? .text(text) : .damaged
  }

  /// The first byte of the device in `from..<to` that is not zero.
  private func firstByte(from: UInt64, to: UInt64) throws(DumpError) -> UInt64? {
    guard from < to else { return nil }
    let bytes = try file.bytes(at: from, count: Int(to - from))
    return bytes.firstIndex { $0 != 0 }.map { from + UInt64($0) }
  }

  private func occupied(_ offset: UInt64) -> DumpError {
    DumpError(
      .usage, "there is something on it that mcore did not write: nothing is overwritten",
      at: "\(file.path), offset \(hex(offset))",
      advice: "if it is not needed, fill the first 2 MiB and the last one with zeros")
  }
}
