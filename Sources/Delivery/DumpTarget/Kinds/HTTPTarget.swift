internal import DumpBasics
internal import LinuxSystem

/// `https://host/path/`: each file by a PUT of its own, through the system's curl. Where the server has
/// WebDAV the dump gets a directory that is renamed when it is whole. Where curl is told to sign requests it
/// is an object store that speaks S3.
struct HTTPTarget: TargetKind {
  static let form = "https://HOST[:PORT]/path/"
  /// Ends in a slash.
  let base: String

  init?(parsing word: String) throws(DumpError) {
    guard let rest = word.dropping(prefix: "https://") ?? word.dropping(prefix: "http://") else { return nil }
    func wrong(_ what: String, _ shown: String) -> DumpError {
      DumpError(.usage, what, at: shown, advice: "write \(HTTPTarget.form)")
    }
    guard let (authority, _) = rest.split(atFirst: "/"), !authority.isEmpty else {
      throw wrong("the path is missing", rest.utf8.contains(0x40) ? "https:" : word)
    }
    // It would stand in logs and in the list of processes. It must not even be told in this message.
    if authority.utf8.contains(0x40) {
      throw DumpError(
        .usage, "a name or a password has no place in an address", at: "https:", advice: "put it into the file of curl-config=")
    }
    if word.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7f || $0 == 0x22 || $0 == 0x5c }) {
      throw wrong("there is a character in it that addresses don't have", word)
    }
    if word.utf8.contains(where: { $0 == 0x3f || $0 == 0x23 }) { throw wrong("names of files can't follow a ? or #", "https:") }
    if word.utf8.last != 0x2f { throw wrong("the path has to end in a slash", word) }
    base = word
    let address = authority.dropping(prefix: "[")?.split(atFirst: "]")?.before
    host = address ?? authority.split(atFirst: ":")?.before ?? authority
  }

  var isRemote: Bool { true }
  let host: String?
  var endsByItself: Bool { true }

  func open(_ dump: any DumpOffer) throws(DumpError) -> any Destination {
    try requireFile(dump.transfer.curlConfig, of: "curl-config")
    if ObjectStore.isSigned(dump.transfer.curlConfig) {
      return try ObjectStoreDestination(Curl(dump.transfer), in: base, dumpName: dump.directoryName)
    }
    return try HTTPDestination(Curl(dump.transfer), in: base, dumpName: dump.directoryName)
  }
}

/// Requests, each by a curl of its own.
package struct Curl: Sendable {
  let transfer: TransferOptions

  init(_ transfer: TransferOptions) { self.transfer = transfer }

  /// `arguments` and what holds for every request. No globbing: brackets stand for IPv6 addresses.
  func command(_ arguments: [String]) -> Command {
    let config = transfer.curlConfig.map { ["--config", $0] } ?? []
    let stall = transfer.stallSeconds == 0 ? TransferOptions.standardStall : transfer.stallSeconds
    let common = ["--silent", "--show-error", "--globoff", "--connect-timeout", "\(min(stall, 30))"]
    return Command("curl", config + common + arguments, output: .collect)
  }

  /// What stands before the status of an answer: curl may have words of its own beside it.
  private static let mark = "mcore-status "
  static let writeOut = ["--write-out", "\n\(mark)%{http_code}\n"]

  func put(_ url: String) -> Command {
    command(["--fail", "--upload-file", "-", "--output", "/dev/null"] + Curl.writeOut + [url])
  }

  /// Nil where the server has taken what was put. To be sent elsewhere is no failure for curl.
  func refusal(_ result: ProcessResult, _ url: String) -> DumpError? {
    let status = Curl.codes(result.output).last ?? 0
    return (200..<300).contains(status) ? nil : refused(status, url)
  }

  static func codes(_ output: String) -> [UInt64] {
    output.utf8.split(separator: 0x0a).compactMap { String(Substring($0)).dropping(prefix: mark).flatMap { number($0) } }
  }

  /// The status codes of a request to each of `urls`.
  func statuses(_ arguments: [String], _ urls: [String]) throws(DumpError) -> [UInt64] {
    let outputs = urls.flatMap { ["--output", "/dev/null", $0] }
    let child = try PipedChild(command(arguments + Curl.writeOut + outputs))
    let result = try child.wait(stall: transfer.stallSeconds)
    guard result.end == .exited(0) else { throw reason(result, urls[0]) }
    let codes = Curl.codes(result.output)
    guard codes.count == urls.count else { throw DumpError("curl does not tell what the server answered", at: urls[0]) }
    if codes.contains(401) { throw refused(401, urls[0]) }
    return codes
  }

  func refused(_ status: UInt64, _ url: String) -> DumpError {
    switch status {
    case 401, 403, 407:
      DumpError(
        .system(System.accessRefused), "the server refuses access: status \(status)", at: url,
        advice: "a login stands in the file of curl-config=, and the server has to allow PUT there")
    case 300..<400:
      DumpError("the server sends us elsewhere: status \(status)", at: url, advice: "write the address that it leads to")
    case 404: DumpError(.usage, "there is no such place on the server: status 404", at: url)
    case 405, 411, 501:
      DumpError(
        "the server does not take a PUT in pieces: status \(status)", at: url, advice: "WebDAV, or PUT, has to be allowed there")
    case 413, 507: DumpError(.full, "the server has no room: status \(status)", at: url)
    default: DumpError("the server failed: status \(status)", at: url)
    }
  }

  /// What curl quotes may be of its configuration: a login.
  private static func withoutQuoted(_ line: String) -> String {
    guard let (before, rest) = line.split(atFirst: "'"), let (inner, after) = rest.split(atFirst: "'"), inner.utf8.contains(0x40)
    else { return line }
    return "\(before)'...'\(after)"
  }

  /// The exit statuses of curl(1).
  func reason(_ result: ProcessResult, _ url: String) -> DumpError {
    guard case .exited(let status) = result.end else {
      return DumpError(.system(System.timedOut), told(result, "curl"), at: url)
    }
    // Status codes may stand behind it.
    let output = Curl.withoutQuoted(line(of: result.output, with: "curl: (") ?? lastLine(result.output))
    let what = output.isEmpty ? "curl ended with status \(status)" : output
    switch status {
    case 5, 6, 7, 28, 52, 55, 56: return DumpError(.system(System.unreachable), what, at: url)
    case 22:
      let code =
        output.split(atFirst: "error: ").flatMap { number(String(decoding: $0.after.utf8.prefix(3), as: UTF8.self)) } ?? 0
      return code == 0 ? DumpError(.input, what, at: url) : refused(code, url)
    default: return DumpError(.input, what, at: url)
    }
  }
}
