internal import CoreEncoding
internal import DumpBasics
internal import LinuxSystem

/// The uncompressed bytes of a dump file, by offset, from any number of threads.
protocol Content: AnyObject, Sendable {
  var name: String { get }
  /// Uncompressed bytes that are there. Less than the ELF headers promise when the file was cut.
  var size: UInt64 { get }
  /// Its format's name, as `OutputFormat` has it.
  var format: String { get }
  /// Whether it is the memory of the kernel that runs.
  var isLive: Bool { get }
  /// What is wrong with the file beyond single blocks, where anything is: for the report.
  var damage: DumpError? { get }
  /// True when bytes that are there are wrong; false when the file only ends too early.
  var isCorrupt: Bool { get }
  /// Whether the file has a mark of its end, and ends with it.
  var isEnded: Bool { get }
  /// What stands at the end of a dump of ours; nil in one that is cut or of another maker.
  var ending: DumpEnding? { get }
  /// Bytes of the file behind the end of the dump, as raw disks and transfers leave them: no part of it.
  var bytesBehind: UInt64 { get }
  /// Fills `buffer` from `offset` on, or throws.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError)
  /// The next offset, from `offset` on, at which there may be anything but zeros; nil when there is none.
  func nextData(from offset: UInt64) -> UInt64?
}

/// What stands at the end of a whole dump of ours.
struct DumpEnding: Sendable {
  var footer: DumpFooter
  var trailer: DumpTrailer
}

/// A compressed file: read in blocks, and its own structure leads to its end.
protocol CompressedContent: Content {
  var inflatedBlocks: InflatedBlocks { get }
  /// Inflates from `offset` on, which is below `size`; returns how many bytes it gave, at least 1.
  func inflate(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) -> Int
}

extension Content {
  var isLive: Bool { false }
  var bytesBehind: UInt64 { 0 }
  var ending: DumpEnding? { nil }

  /// The first `count` bytes, fewer where the file ends.
  func start(_ count: Int) throws(DumpError) -> [UInt8] { try bytes(at: 0, count: Int(min(UInt64(count), size))) }

  func nextData(from offset: UInt64) -> UInt64? { offset }

  /// `count` bytes at `offset`. The caller has checked that `count` is not a hostile number.
  func bytes(at offset: UInt64, count: Int) throws(DumpError) -> [UInt8] {
    unsafe try [UInt8].filled(count) { (buffer) throws(DumpError) in unsafe try read(at: offset, into: buffer) }
  }
}

extension Content {
  /// What stands at the end of a plain ELF of ours, whoever compressed that: the footer is its last 64 bytes.
  func plainEnding() -> DumpEnding? {
    guard size >= UInt64(DumpFooter.size),
      let last = try? bytes(at: size - UInt64(DumpFooter.size), count: DumpFooter.size),
      let footer = DumpFooter(last), footer.fileSize == size, footer.trailerOffset <= size,
      footer.trailerSize <= min(size - footer.trailerOffset, 1 << 31),
      let trailer = try? bytes(at: footer.trailerOffset, count: Int(footer.trailerSize))
    else { return nil }
    return (try? DumpTrailer(trailer, at: name)).map { DumpEnding(footer: footer, trailer: $0) }
  }
}

extension Content {
  /// The same where the file does not end with the footer: the trailer says itself how long it is. Where the
  /// footer stands behind it all is well, and what follows is no part of the dump.
  func ending(at trailerOffset: UInt64) -> (ending: DumpEnding, hasFooter: Bool)? {
    let header = UInt64(Envelope.headerSize)
    guard trailerOffset > 0, trailerOffset <= size, size - trailerOffset > header,
      let start = try? bytes(at: trailerOffset, count: Int(header)),
      let body = try? Envelope.bodySize(start, magic: DumpTrailer.magic, at: name),
      body <= min(size - trailerOffset - header, 1 << 31),
      let whole = try? bytes(at: trailerOffset, count: Int(header + body)), let trailer = try? DumpTrailer(whole, at: name)
    else { return nil }
    let end = trailerOffset + header + body
    if let bytes = try? bytes(at: end, count: Int(min(UInt64(DumpFooter.size), size - end))), let footer = DumpFooter(bytes),
      footer.trailerOffset == trailerOffset, footer.fileSize == end + UInt64(DumpFooter.size)
    {
      return (DumpEnding(footer: footer, trailer: trailer), true)
    }
    let footer = DumpFooter(
      trailerOffset: trailerOffset, fileSize: end + UInt64(DumpFooter.size), trailerSize: header + body,
      compressedTrailerOffset: trailerOffset)
    return (DumpEnding(footer: footer, trailer: trailer), false)
  }
}

/// A file that is not compressed: a plain ELF, or /proc/vmcore.
final class PlainContent: Content {
  private let file: File
  /// Only for /proc/vmcore: a plain file is read as fast as it is mapped (docs/performance.md).
  private let windows: FileWindows?
  let size: UInt64
  let damage: DumpError? = nil
  let isCorrupt = false
  let isEnded = false
  let format = "elf"
  /// /proc/kcore: it can't be mapped.
  let isLive: Bool
  private let isInProc: Bool
  /// Of /proc/vmcore and /proc/kcore nothing has to be read for it: they are no dumps of ours.
  var ending: DumpEnding? { isInProc ? nil : plainEnding() }
  var name: String { file.path }

  init(_ file: consuming File) throws(DumpError) {
    size = try file.size()
    isInProc = file.isInProc
    isLive = isInProc && file.path.utf8.suffix(6).elementsEqual("/kcore".utf8)
    windows = isInProc && !isLive ? FileWindows(file, size: size) : nil
    self.file = file
  }

  func nextData(from offset: UInt64) -> UInt64? { file.nextData(from: offset) }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    if let windows, unsafe windows.read(at: offset, into: buffer) { return }
    let count = unsafe try file.read(at: offset, into: buffer)
    if count < buffer.count {
      throw DumpError("the file ends \(buffer.count - count) bytes early", at: "\(name), offset \(hex(offset + UInt64(count)))")
    }
  }
}
