internal import DumpBasics
internal import LinuxSystem

/// A dump directory on the far side of ssh. It looks like one on a disk: `<dumpName>.incomplete/` until all
/// of it is there.
final class SSHDestination: Destination {
  let acceptsSideFiles = true
  /// Bytes that the far side's file system has free, if it can tell.
  let room: UInt64?
  private var shell: SSHShell
  /// On the far side.
  private let parent: String
  private let finalName: String
  private var fileName: String?
  private var sink: CommandSink?
  private var isComplete = false

  init(_ shell: SSHShell, in parent: String, dumpName: String) throws(DumpError) {
    self.shell = shell
    self.parent = parent
    // mkdir decides who gets a name. The marker tells the answer from what a shell may print at its start.
    let answer = try shell.run(
      """
      umask 077; p=\(shellQuoted(parent)); n=\(shellQuoted(dumpName)); mkdir -p "$p" || exit 1
      i=1; d=$n
      while [ $i -le 1000 ]; do
        if [ ! -e "$p/$d" ] && mkdir "$p/$d.incomplete" 2>/dev/null; then
          echo "mcore-directory $i"
          df -Pk "$p" 2>/dev/null | { read a; read a b c free e; echo "mcore-free $free"; }
          exit 0
        fi
        [ -e "$p/$d" ] || [ -e "$p/$d.incomplete" ] || { mkdir "$p/$d.incomplete"; exit 1; }
        i=$((i+1)); d=$n-$i
      done
      echo "there are 1000 dumps of this name"; exit 1
      """)
    guard let number = SSHDestination.amount(after: "mcore-directory ", in: answer), (1...1000).contains(number) else {
      throw DumpError("the far side does not answer as a shell does: \(lastLine(answer))", at: shell.name)
    }
    finalName = numbered(dumpName, number)
    room = SSHDestination.amount(after: "mcore-free ", in: answer).map {
      $0.multipliedReportingOverflow(by: 1024)
    }.flatMap { $0.overflow ? nil : $0.partialValue }
  }

  private static func amount(after marker: String, in answer: String) -> UInt64? {
    line(of: answer, with: marker)?.split(atFirst: marker).flatMap { number($0.after) }
  }

  var name: String { shell.name + joined(parent, finalName) }
  private var directory: String { joined(parent, finalName + incompleteSuffix) }

  func openDump(fileName: String) throws(DumpError) -> any DumpSink {
    self.fileName = fileName
    let path = joined(directory, fileName)
    let made = try CommandSink(
      shell.command("umask 077; exec cat > \(shellQuoted(path))"), name: shell.name + path, stall: shell.transfer.stallSeconds,
      reason: shell.reason)
    sink = made
    return made
  }

  func writeSideFile(_ fileName: String, _ bytes: [UInt8]) throws(DumpError) { try put(fileName, bytes, limit: nil) }

  /// A connection that breaks looks like the end of the file to the far side: hence the count.
  private func put(_ fileName: String, _ bytes: [UInt8], limit: UInt64?) throws(DumpError) {
    let path = shellQuoted(joined(directory, fileName))
    let new = shellQuoted(joined(directory, fileName + ".new"))
    _ = try shell.run(
      "umask 077; cat > \(new) && [ \"$(wc -c < \(new))\" -eq \(bytes.count) ] && mv \(new) \(path)", input: bytes, limit: limit)
  }

  /// Everything is on the far side's disk, then gets its name.
  func complete() throws(DumpError) -> String {
    try sink?.finish()
    let from = shellQuoted(directory)
    let to = shellQuoted(joined(parent, finalName))
    let counted = fileName.map {
      "[ \"$(wc -c < \(shellQuoted(joined(directory, $0))))\" -eq \(sink?.position ?? 0) ] || { echo \"the dump is not whole there\"; exit 1; }; "
    }
    // What can't be written to the far disk shows here. Not every file system syncs directories.
    _ = try shell.run(
      "\(counted ?? "")if command -v sync >/dev/null; then sync \(from)/* || exit 1; sync \(from) 2>/dev/null || sync; fi; "
        + "[ ! -e \(to) ] || exit 1; mv \(from) \(to) || exit 1; "
        + "sync \(shellQuoted(parent)) 2>/dev/null || sync; exit 0")
    isComplete = true
    shell.closeConnection()
    return name
  }

  deinit { shell.closeConnection() }

  func abandon(note: String) -> String {
    if !isComplete {
      _ = sink?.abandon()
      shell.closeConnection()
      try? put(DirectoryDestination.noteName, Array(note.utf8), limit: 15)
    }
    return isComplete ? name : name + incompleteSuffix
  }

  /// What is under way when a connection breaks never gets there.
  func bytesThere() -> UInt64? {
    guard let fileName else { return 0 }
    let path = shellQuoted(joined(directory, fileName))
    let answer = try? shell.run("echo mcore-size $(wc -c < \(path))", limit: 15)
    return answer.flatMap { SSHDestination.amount(after: "mcore-size ", in: $0) } ?? 0
  }
}
