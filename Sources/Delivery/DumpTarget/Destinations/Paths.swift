internal import DumpBasics
internal import LinuxSystem

/// `directory` and `name` as one path.
func joined(_ directory: String, _ name: String) -> String {
  directory.utf8.last == 0x2f ? directory + name : "\(directory)/\(name)"
}

/// A name that is taken gets a number from 2 on.
func numbered(_ name: String, _ number: some BinaryInteger) -> String { number == 1 ? name : "\(name)-\(number)" }

/// Makes a directory and those above it that are missing. What is made is 0755; the last one 0700, as it
/// holds dumps. Each new name is on the disk when this returns.
func makeDirectories(_ path: String, mode: UInt32 = 0o700) throws(DumpError) {
  if System.kind(of: path) == .directory { return }
  let parent = parentDirectory(of: path)
  if parent != path { try makeDirectories(parent, mode: 0o755) }
  if try !System.mkdir(path, mode: mode), System.kind(of: path) != .directory {
    throw DumpError(.usage, "this is no directory", at: path, advice: "move it away, or name another directory")
  }
  try System.synchronizeDirectory(parent)
}
