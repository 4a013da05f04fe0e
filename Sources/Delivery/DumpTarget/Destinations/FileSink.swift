internal import DumpBasics
internal import LinuxSystem

/// A regular file that is written from start to end, with holes where zeros are skipped.
final class FileSink: DumpSink {
  /// What it is called in messages; `path` unless somebody sets it.
  var name: String
  let path: String
  /// Nil once it is finished or closed.
  private var file: File?
  /// Whether the file ends in a hole, which makes no size by itself.
  private var endsInHole = false
  /// Bytes so far, holes included.
  private(set) var position: UInt64 = 0
  /// Up to where the system was told to put it on the disk. Left to itself it begins late, and `finish` waits
  /// for nearly all of it.
  private var started: UInt64 = 0
  private static let window: UInt64 = 8 << 20
  /// So much may be on its way: memory of a crash kernel is small, and what waits here the target has not
  /// taken.
  private static let behind: UInt64 = 32 << 20

  /// Makes the file, mode 0600; one of that name must not exist.
  init(creating path: String) throws(DumpError) {
    file = try File(path, .create)
    self.path = path
    name = path
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(DumpError) {
    if bytes.count == 0 { return }
    try withOpenFile { (file) throws(DumpError) in unsafe try file.write(bytes) }
    position += UInt64(bytes.count)
    endsInHole = false
    if position >= started + FileSink.window { try startWriting() }
  }

  private func startWriting() throws(DumpError) {
    let range = started..<position
    try withOpenFile { (file) throws(DumpError) in
      file.startWriting(range)
      if range.lowerBound >= FileSink.behind {
        let end = range.lowerBound - FileSink.behind
        file.startWriting(end - min(end, range.upperBound - range.lowerBound)..<end, waits: true)
      }
    }
    started = position
  }

  func skip(_ count: UInt64) throws(DumpError) {
    if count == 0 { return }
    try withOpenFile { (file) throws(DumpError) in try file.skip(count) }
    position += count
    endsInHole = true
    if position >= started + FileSink.window { try startWriting() }
  }

  func placedWriter() throws(DumpError) -> (any PlacedWriter)? {
    var writer: PlacedFile?
    try withOpenFile { (file) throws(DumpError) in writer = PlacedFile(try file.duplicate(), name) }
    return writer
  }

  func finish() throws(DumpError) {
    guard file != nil else { return }
    if endsInHole {
      let size = position
      try withOpenFile { (file) throws(DumpError) in try file.truncate(to: size) }
      endsInHole = false
    }
    try withOpenFile { (file) throws(DumpError) in try file.synchronize() }
    file = nil
  }

  func cut(to count: UInt64) throws(DumpError) {
    try withOpenFile { (file) throws(DumpError) in try file.truncate(to: count) }
    position = count
    started = min(started, count)
    endsInHole = false
  }

  let canRewrite = true

  func rewrite(at offset: UInt64, _ bytes: [UInt8]) throws(DumpError) {
    try withOpenFile { (file) throws(DumpError) in try file.write(bytes, at: offset) }
  }

  /// For the way out of an error: what can be kept is put on the disk.
  func abandon() {
    // Best effort: the error that led here is the one that is told.
    try? withOpenFile { (file) throws(DumpError) in try file.synchronize() }
    file = nil
  }

  private func withOpenFile(_ body: (borrowing File) throws(DumpError) -> Void) throws(DumpError) {
    switch file {
    case .some(let file):
      do throws(DumpError) { try body(file) } catch {
        // Its path may be below a mount point that nobody knows.
        var told = error
        told.place = name
        throw told
      }
    case .none: throw DumpError("the file was closed already", at: name)
    }
  }
}

/// The same file, for threads that write to places of their own.
private final class PlacedFile: PlacedWriter {
  private let file: File
  private let name: String

  init(_ file: consuming File, _ name: String) {
    self.file = file
    self.name = name
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DumpError) {
    do throws(DumpError) { unsafe try file.write(bytes, at: offset) } catch {
      var told = error
      told.place = "\(name), offset \(hex(offset))"
      throw told
    }
  }
}
