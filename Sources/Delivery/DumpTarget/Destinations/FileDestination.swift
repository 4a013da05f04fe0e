internal import DumpBasics
internal import LinuxSystem

/// One plain file: the dump alone. It is called `PATH.incomplete` until all of it is on the disk.
final class FileDestination: Destination {
  private(set) var name: String
  let acceptsSideFiles = false
  var dumpPath: String? { path }
  var room: UInt64? { System.freeBytes(of: parent) }
  private let parent: String
  private var path: String
  private let sink: FileSink

  init(_ path: String) throws(DumpError) {
    name = path
    parent = parentDirectory(of: path)
    sink = try FileDestination.claim(path)
    self.path = sink.path
  }

  /// A `PATH.incomplete` that is there is a dump cut short or one being written: it is left alone.
  private static func claim(_ path: String) throws(DumpError) -> FileSink {
    var last = DumpError("no name is free", at: path)
    for number in 1...1000 {
      let candidate = numbered(path, number) + incompleteSuffix
      do throws(DumpError) {
        return try FileSink(creating: candidate)
      } catch {
        last = error
        if System.kind(of: candidate) == nil { break }
      }
    }
    throw last
  }

  /// The file was made when the target was opened: a target that can't be written has to show before work is
  /// done.
  func openDump(fileName: String) throws(DumpError) -> any DumpSink { sink }

  func writeSideFile(_ fileName: String, _ bytes: [UInt8]) throws(DumpError) {}

  func complete() throws(DumpError) -> String {
    try sink.finish()
    name = try takeName()
    path = name
    try System.synchronizeDirectory(parent)
    return name
  }

  /// Another dump may have got the name meanwhile.
  private func takeName() throws(DumpError) -> String {
    for number in 1...1000 {
      let candidate = numbered(name, number)
      if try System.renameNew(path, candidate) { return candidate }
    }
    throw DumpError("no name is free", at: name)
  }

  func abandon(note: String) -> String {
    sink.abandon()
    if path == name {
      if (try? System.rename(name, name + incompleteSuffix)) != nil { path = name + incompleteSuffix }
    } else if sink.position == 0 {
      // An empty file helps nobody.
      try? System.unlink(path)
    }
    return path
  }
}
