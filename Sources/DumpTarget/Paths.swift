internal import DumpBasics
internal import LinuxSystem

/// The directory that holds `path`: `.` for a plain name.
func parentDirectory(of path: String) -> String {
  let bytes = Array(path.utf8)
  var end = bytes.count
  while end > 1, bytes[end - 1] == 0x2f { end -= 1 }
  guard let slash = bytes[..<end].lastIndex(of: 0x2f) else { return "." }
  var last = slash
  while last > 0, bytes[last - 1] == 0x2f { last -= 1 }
  return last == 0 ? "/" : String(decoding: bytes[..<last], as: UTF8.self)
}

/// `directory` and `name` as one path.
func joined(_ directory: String, _ name: String) -> String {
  directory.utf8.last == 0x2f ? directory + name : "\(directory)/\(name)"
}

/// Makes a directory and those above it that are missing. What is made is 0755; the last one 0700, as it holds dumps.
/// Each new name is on the disk when this returns.
func makeDirectories(_ path: String, mode: UInt32 = 0o700) throws(DumpError) {
  if System.kind(of: path) == .directory { return }
  let parent = parentDirectory(of: path)
  if parent != path { try makeDirectories(parent, mode: 0o755) }
  if try !System.mkdir(path, mode: mode), System.kind(of: path) != .directory {
    throw DumpError(.usage, "this is no directory", at: path, advice: "move it away, or name another directory")
  }
  try System.synchronizeDirectory(parent)
}
