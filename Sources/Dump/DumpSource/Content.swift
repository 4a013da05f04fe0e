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
  /// What is wrong with the file beyond single blocks, where anything is: for the report.
  var damage: DumpError? { get }
  /// True when bytes that are there are wrong; false when the file only ends too early.
  var isCorrupt: Bool { get }
  /// Whether the file has a mark of its end, and ends with it.
  var isEnded: Bool { get }
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

/// A compressed file: read in blocks, and its own structure leads to the end of a dump.
protocol CompressedContent: Content {
  /// Nil in a dump that is cut or of another maker.
  var ending: DumpEnding? { get }
  var inflatedBlocks: InflatedBlocks { get }
  /// Inflates from `offset` on, which is below `size`; returns how many bytes it gave, at least 1.
  func inflate(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) -> Int
}

extension Content {
  func nextData(from offset: UInt64) -> UInt64? { offset }

  /// `count` bytes at `offset`. The caller has checked that `count` is not a hostile number.
  func bytes(at offset: UInt64, count: Int) throws(DumpError) -> [UInt8] {
    unsafe try [UInt8].filled(count) { (buffer) throws(DumpError) in unsafe try read(at: offset, into: buffer) }
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
  var name: String { file.path }

  init(_ file: consuming File) throws(DumpError) {
    size = try file.size()
    windows = file.isInProc ? FileWindows(file, size: size) : nil
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
