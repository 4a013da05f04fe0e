internal import DumpBasics
internal import LinuxSystem
internal import Reading

/// The file that login prints (pam_motd(8)). What is in /run is gone with the next boot, and so is the news.
private let loginFile = "/run/motd.d/60-mcore"
/// A login is no place for lists.
private let lineLimit = 3

/// Leaves a line for each new dump where login finds it. Without `isWanted` there is none, an earlier one
/// included.
func tellAtLogin(_ dumps: [ListedDump], _ machine: Machine, isWanted: Bool) throws(DumpError) {
  let path = machine.root + loginFile
  if !isWanted {
    if System.kind(of: path) != nil { try System.unlink(path) }
    return
  }
  if dumps.isEmpty { return }
  let directory = parentDirectory(of: path)
  // Everybody who logs in reads it, whatever this process keeps to itself.
  if try System.mkdir(directory, mode: 0o755) { try System.setMode(directory, 0o755) }
  var text = dumps.prefix(lineLimit).reduce("") { $0 + line(of: $1) + "\n" }
  if dumps.count > lineLimit { text += "mcore: and \(dumps.count - lineLimit) more dumps\n" }
  try System.replaceFile(path, with: Array((text + "mcore: mcore list shows the dumps, mcore report DUMP what happened\n").utf8))
  try System.setMode(path, 0o644)
}

private func line(of dump: ListedDump) -> String {
  let what = dump.reason ?? "no panic message found in the log"
  return "mcore: the kernel crashed\(dump.timeText.isEmpty ? "" : " at \(dump.timeText)"): \(printable(what)); "
    + "dump \(dump.status): \(printable(dump.path))"
}
