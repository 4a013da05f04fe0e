public import DumpBasics
public import SoftBoot

/// Where one dump is being written. Made by opening a target; `complete` or `abandon` ends it.
///
/// A directory takes every file; a plain file or standard output takes only the dump itself and drops the
/// side files (`acceptsSideFiles` says so).
public protocol Destination: AnyObject {
  /// What the target is called in messages, e.g. `/dev/vda1:/var/crash/2026-11-23-…`.
  var name: String { get }
  /// Whether side files (`dmesg.txt`, `dump.json`) have a place here.
  var acceptsSideFiles: Bool { get }
  /// Where the dump can be read again before it is complete; nil where it can't.
  var dumpPath: String? { get }
  /// Opens the file that takes the dump. Called once.
  func openDump(fileName: String) throws(DumpError) -> any DumpSink
  /// Writes a small file beside the dump, whole and synced, replacing an earlier one of that name.
  func writeSideFile(_ fileName: String, _ bytes: [UInt8]) throws(DumpError)
  /// The dump is whole: everything is synced, then gets its final name. Returns that name.
  func complete() throws(DumpError) -> String
  /// The dump is cut short: what is there stays under its `.incomplete` name, with `note` beside it where
  /// there is room (a plain file has none). Never throws: this is the way out of an error. Returns the name
  /// that stays.
  func abandon(note: String) -> String
  /// Where the dump is after `complete` or `abandon`.
  var whereabouts: Whereabouts { get }
  /// Bytes that have room; nil where nobody knows.
  var room: UInt64? { get }
  /// After an error: how much of the dump is there, where that is not what the sink took; nil where it is.
  func bytesThere() -> UInt64?
}

extension Destination {
  public var dumpPath: String? { nil }
  public var whereabouts: Whereabouts { .stored }
  public var room: UInt64? { nil }
  public func bytesThere() -> UInt64? { nil }
}

/// Where a dump is once its destination has ended.
public enum Whereabouts: Sendable {
  /// Under the name that the destination returned.
  case stored
  /// In memory, from which another kernel has to save it. `next` is that kernel, which is loaded already with
  /// all of the memory set aside that was chosen at first; nil where somebody else sees to that.
  case inMemory(RegionExtents, next: NormalKernel?)
}

/// One file being written from start to end.
public protocol DumpSink: AnyObject {
  /// The path, for messages.
  var name: String { get }
  func write(_ bytes: UnsafeRawBufferPointer) throws(DumpError)
  /// The next `count` bytes are zeros. Leaves a hole where the file system has them; they are written where
  /// nothing else is said. What a `placedWriter` has written there stays.
  func skip(_ count: UInt64) throws(DumpError)
  /// Everything is written: sets the final size and syncs.
  func finish() throws(DumpError)
  /// The dump ends here: nothing is written any more, and of what was, only the first `count` bytes stay.
  /// Where written bytes can't be taken back, nothing happens.
  func cut(to count: UInt64) throws(DumpError)
  /// Whether what was written, or skipped, can be written again.
  var canRewrite: Bool { get }
  /// Puts `bytes` in the place of earlier ones; all of it was written or skipped before.
  func rewrite(at offset: UInt64, _ bytes: [UInt8]) throws(DumpError)
  /// Who writes to any place of this file, from any thread; nil where bytes have to come in order.
  func placedWriter() throws(DumpError) -> (any PlacedWriter)?
}

/// Writes to any place of a file that a `DumpSink` writes.
public protocol PlacedWriter: Sendable {
  /// `offset` is from the start of the file.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DumpError)
}

private let zeros = [UInt8](repeating: 0, count: 64 << 10)

extension DumpSink {
  public func skip(_ count: UInt64) throws(DumpError) {
    var left = count
    while left > 0 {
      let piece = Int(min(left, UInt64(zeros.count)))
      unsafe try zeros[..<piece].lent { (buffer) throws(DumpError) in unsafe try write(buffer) }
      left -= UInt64(piece)
    }
  }

  public func cut(to count: UInt64) throws(DumpError) {}
  public var canRewrite: Bool { false }
  public func rewrite(at offset: UInt64, _ bytes: [UInt8]) throws(DumpError) {
    throw DumpError(.unsupported, "what is written can't be changed any more", at: name)
  }
  public func placedWriter() throws(DumpError) -> (any PlacedWriter)? { nil }

  public func write(_ bytes: [UInt8]) throws(DumpError) {
    unsafe try bytes.lent { (buffer) throws(DumpError) in unsafe try write(buffer) }
  }
}
