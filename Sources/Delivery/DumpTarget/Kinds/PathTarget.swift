internal import DumpBasics
internal import LinuxSystem

/// `/path`: an existing directory gets a dump directory; a path whose parent exists becomes one plain file.
struct PathTarget: TargetKind {
  static let form = "DIRECTORY, FILE (a new one)"
  let path: String

  init?(parsing word: String) throws(DumpError) {
    guard !word.isEmpty else { throw DumpError(.usage, "an empty word is no target", advice: "name a directory or a file") }
    if word.utf8.contains(0) { throw DumpError(.usage, "a path can't hold a NUL byte", at: word) }
    // A typing error in the name of a kind must not become a file. A path of that name is written with ./ in
    // front.
    if let (kind, _) = word.split(atFirst: ":"), !kind.isEmpty, kind.utf8.allSatisfy({ (0x61...0x7a).contains($0) }) {
      throw DumpError(
        .usage, "there is no kind of target \(kind):", at: word, advice: "for a file of that name write ./\(word)")
    }
    path = word
  }

  func open(_ dump: any DumpOffer) throws(DumpError) -> any Destination {
    switch System.kind(of: path) {
    case .directory: return try DirectoryDestination(in: path, dumpName: dump.directoryName)
    case nil: break
    // It may be the only dump of another crash, or the very source.
    case .regular:
      throw DumpError(.usage, "the file exists already", at: path, advice: "name another one, or remove it first")
    case .blockDevice:
      throw DumpError(
        .usage, "a disk is no target by itself", at: path, advice: "name the directory on its file system: \(path):/var/crash")
    case .other:
      throw DumpError(
        .usage, "this is neither a directory nor a plain file", at: path, advice: "for standard output write -")
    }
    let parent = parentDirectory(of: path)
    if path.utf8.last == 0x2f || System.kind(of: parent) != .directory {
      let missing = path.utf8.last == 0x2f ? path : parent
      throw DumpError(
        .usage, "there is no such directory", at: missing,
        advice: "make it, or name one that exists; a target is \(TargetSpec.forms)")
    }
    // Written to devtmpfs, a dump would be lost with the reboot.
    if System.realPath(parent) == "/dev" {
      throw DumpError(
        .usage, "there is no such device", at: path, advice: "a disk is named with a directory on it: \(path):/var/crash")
    }
    return try FileDestination(path)
  }
}
