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
    var shell = SSHShell(place, dump.transfer)
    shell.prepareForMany()
    do throws(DumpError) {
      return try SSHDestination(shell, in: place.path, dumpName: dump.directoryName)
    } catch {
      shell.closeConnection()
      throw error
    }
  }
}

/// - Throws: where a setting names a file that is not there.
func requireFile(_ path: String?, of key: String) throws(DumpError) {
  guard let path, System.kind(of: path) == nil else { return }
  throw DumpError(.usage, "the file that \(key)= names is not there", at: path)
}

/// Runs commands in a shell of the far side: each with a connection of its own, or all of them by one.
struct SSHShell: Sendable {
  let place: RemoteHost
  let transfer: TransferOptions
  /// In the order in which they are offered; nil is ssh's own.
  private var ciphers: String?
  private var connection: SSHConnection?

  init(_ place: RemoteHost, _ transfer: TransferOptions) {
    self.place = place
    self.transfer = transfer
  }

  /// `ssh:user@host:`, for messages.
  var name: String { "ssh:" + (place.user.map { $0 + "@" } ?? "") + place.inBrackets + (place.port.map { ":\($0)" } ?? "") + ":" }

  /// Before a dump goes out, which takes several commands and much data: they share a connection, whose
  /// cipher is the fastest that both sides know. Where that can't be had, nothing is lost but time.
  mutating func prepareForMany() {
    let question = Command("ssh", options + ["-G", "--", place.host], output: .collect)
    if let answer = try? System.run(question, limitSeconds: 10), answer.end == .exited(0) {
      let cpuinfo = (try? System.text(of: "/proc/cpuinfo")) ?? ""
      ciphers = SSHCiphers.preferred(configuration: answer.output, cpuinfo: cpuinfo)
    }
    connection = try? SSHConnection()
  }

  /// What follows has connections of its own. A connection that hangs would hold it up.
  mutating func closeConnection() {
    guard let connection else { return }
    connection.close(by: Command("ssh", options + ["-O", "exit", "--", place.host], output: .collect))
    self.connection = nil
  }

  /// Nobody is there to be asked, and a host key that is not known is no host.
  private var options: [String] {
    let stall = transfer.stallSeconds == 0 ? TransferOptions.standardStall : transfer.stallSeconds
    var words = ["-T", "-x", "-a"]
    let options = [
      "BatchMode=yes", "StrictHostKeyChecking=yes", "LogLevel=ERROR", "Compression=no",
      "ConnectTimeout=\(min(stall, 30))",  // A little later than `stall`, which has the better words.
      "ServerAliveInterval=\(max(1, stall / 4))", "ServerAliveCountMax=5",
    ]
    for option in options { words += ["-o", option] }
    words += connection?.options ?? []
    if let ciphers { words += ["-o", "Ciphers=\(ciphers)"] }
    if let key = transfer.sshKey { words += ["-i", key, "-o", "IdentitiesOnly=yes"] }
    if let known = transfer.sshKnownHosts {
      words += ["-o", "UserKnownHostsFile=\(known)", "-o", "GlobalKnownHostsFile=/dev/null"]
    }
    if let port = place.port { words += ["-p", "\(port)"] }
    if let user = place.user { words += ["-l", user] }
    return words
  }

  func command(_ script: String) -> Command {
    // Whatever the login shell is, sh does the work.
    Command("ssh", options + ["--", place.host, "exec sh -c " + shellQuoted(script)], output: .collect)
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
