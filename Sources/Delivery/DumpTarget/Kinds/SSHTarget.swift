internal import DumpBasics
internal import LinuxSystem

/// `ssh:user@host:/path`: a dump directory on another machine, through the system's ssh. The far side needs a
/// shell with `cat`, `mkdir`, `mv` and `wc`, nothing else.
struct SSHTarget: TargetKind {
  static let form = "ssh:USER@HOST[:PORT]:/path"
  let place: RemoteHost

  init?(parsing word: String) throws(DumpError) {
    guard let text = word.dropping(prefix: "ssh:") else { return nil }
    place = try RemoteHost(text, in: word, form: SSHTarget.form)
  }

  var isRemote: Bool { true }
  var host: String? { place.host }
  var endsByItself: Bool { true }

  func open(_ dump: any DumpOffer) throws(DumpError) -> any Destination {
    for (key, path) in [("ssh-key", dump.transfer.sshKey), ("ssh-known-hosts", dump.transfer.sshKnownHosts)] {
      try requireFile(path, of: key)
    }
    return try SSHDestination(SSHShell(place, dump.transfer), in: place.path, dumpName: dump.directoryName)
  }
}

/// - Throws: where a setting names a file that is not there.
func requireFile(_ path: String?, of key: String) throws(DumpError) {
  guard let path, System.kind(of: path) == nil else { return }
  throw DumpError(.usage, "the file that \(key)= names is not there", at: path)
}

/// Runs commands in a shell of the far side, each with a connection of its own.
struct SSHShell: Sendable {
  let place: RemoteHost
  let transfer: TransferOptions

  init(_ place: RemoteHost, _ transfer: TransferOptions) {
    self.place = place
    self.transfer = transfer
  }

  /// `ssh:user@host:`, for messages.
  var name: String { "ssh:" + (place.user.map { $0 + "@" } ?? "") + place.inBrackets + (place.port.map { ":\($0)" } ?? "") + ":" }

  /// Nobody is there to be asked, and a host key that is not known is no host.
  func command(_ script: String) -> Command {
    let stall = transfer.stallSeconds == 0 ? TransferOptions.standardStall : transfer.stallSeconds
    var words = ["-T", "-x", "-a"]
    let options = [
      "BatchMode=yes", "StrictHostKeyChecking=yes", "LogLevel=ERROR", "Compression=no",
      "ConnectTimeout=\(min(stall, 30))",  // A little later than `stall`, which has the better words.
      "ServerAliveInterval=\(max(1, stall / 4))", "ServerAliveCountMax=5",
    ]
    for option in options { words += ["-o", option] }
    if let key = transfer.sshKey { words += ["-i", key, "-o", "IdentitiesOnly=yes"] }
    if let known = transfer.sshKnownHosts {
      words += ["-o", "UserKnownHostsFile=\(known)", "-o", "GlobalKnownHostsFile=/dev/null"]
    }
    if let port = place.port { words += ["-p", "\(port)"] }
    if let user = place.user { words += ["-l", user] }
    // Whatever the login shell is, sh does the work.
    return Command("ssh", words + ["--", place.host, "exec sh -c " + shellQuoted(script)], output: .collect)
  }

  /// Runs `script` with `input`, and returns what it said.
  func run(_ script: String, input: [UInt8] = [], limit: UInt64? = nil) throws(DumpError) -> String {
    let stall = limit ?? transfer.stallSeconds
    let child = try PipedChild(command(script))
    do throws(DumpError) {
      unsafe try input.lent { (buffer) throws(DumpError) in unsafe try child.write(buffer, stall: stall) }
    } catch {
      if error.kind != .system(System.brokenPipe) {
        _ = child.stop()
        throw DumpError(error.kind, error.what, at: name)
      }
    }
    let result = try child.wait(stall: stall)
    if result.end != .exited(0) { throw reason(result) }
    return result.output
  }

  /// ssh ends with 255 when the connection, not the command, failed (ssh(1)).
  func reason(_ result: ProcessResult) -> DumpError {
    if result.end == .timedOut { return DumpError(.system(System.timedOut), told(result, "ssh"), at: name) }
    guard result.end == .exited(255) else { return DumpError(kind(of: result.output), told(result, "far side"), at: name) }
    let output = result.output
    if output.split(atFirst: "Host key verification failed") != nil || output.split(atFirst: "No matching host key") != nil {
      return DumpError(
        .system(System.accessRefused), "the host key is not the one that is known", at: name,
        advice: "is it the right machine? Its key has to stand in the file of known hosts")
    }
    if output.split(atFirst: "Permission denied") != nil {
      let unsafeKey = line(of: output, with: "bad permissions").map { " (\($0))" } ?? ""
      return DumpError(
        .system(System.accessRefused), "the login was refused: \(lastLine(output))\(unsafeKey)", at: name,
        advice: "its public key has to stand in the user's authorized_keys, and nobody else may read the private one")
    }
    return DumpError(.system(System.unreachable), told(result, "ssh"), at: name)
  }
}
