internal import DumpBasics
internal import LinuxSystem

/// A dump on a web server. With WebDAV it is a directory that is called `….incomplete/` until it is whole;
/// without, `dump.json` comes last and says so.
final class HTTPDestination: Destination {
  let acceptsSideFiles = true
  private let curl: Curl
  /// Where the dump will be, and where its files go until then; both end in a slash.
  private let final: String
  private let directory: String
  private var sink: CommandSink?
  private var isComplete = false

  init(_ curl: Curl, in base: String, dumpName: String) throws(DumpError) {
    self.curl = curl
    let found = try HTTPDestination.claim(curl, base, dumpName)
    final = found.final
    directory = found.directory
  }

  private static func claim(
    _ curl: Curl, _ base: String, _ dumpName: String
  ) throws(DumpError) -> (final: String, directory: String) {
    for number in 1...1000 {
      let final = base + numbered(dumpName, number)
      // A directory that may not be listed is answered with 403.
      let there = try curl.statuses(["--head"], [final + "/", final + incompleteSuffix + "/", final + "/dump.json"])
      if let elsewhere = there.first(where: { (300..<400).contains($0) }) { throw curl.refused(elsewhere, base) }
      if there.allSatisfy({ $0 == 403 }) { throw curl.refused(403, base) }
      if there.contains(where: { (200..<300).contains($0) || $0 == 403 }) {
        if number == 1, there.allSatisfy({ (200..<300).contains($0) }),
          case let nobody = try curl.statuses(["--head"], [base + "mcore-\(System.processID)-is-not-there/"]), nobody[0] < 300
        {
          throw DumpError("the server says of every name that it is there", at: base, advice: "HEAD has to tell what is")
        }
        continue
      }
      let directory = final + incompleteSuffix + "/"
      switch try curl.statuses(["--request", "MKCOL"], [directory]).first ?? 0 {
      case 201: return (final + "/", directory)
      // No such method: no WebDAV.
      case 400, 405, 501: return (final + "/", final + "/")
      case 409: throw DumpError(.usage, "there is no such directory", at: base, advice: "make it on the server")
      case 507: throw DumpError(.full, "the server has no room", at: base)
      case let status: throw curl.refused(status, base)
      }
    }
    throw DumpError("there are 1000 dumps of this name", at: base, advice: "move some away")
  }

  var name: String { String(decoding: final.utf8.dropLast(), as: UTF8.self) }
  private var isRenamed: Bool { directory != final }

  func openDump(fileName: String) throws(DumpError) -> any DumpSink {
    let made = try begin(fileName, stall: curl.transfer.stallSeconds)
    sink = made
    return made
  }

  private func begin(_ fileName: String, stall: UInt64) throws(DumpError) -> CommandSink {
    let url = directory + fileName
    let curl = curl
    return try CommandSink(curl.put(url), name: url, stall: stall, refusal: { curl.refusal($0, url) }) { curl.reason($0, url) }
  }

  func writeSideFile(_ fileName: String, _ bytes: [UInt8]) throws(DumpError) {
    try put(fileName, bytes, limit: curl.transfer.stallSeconds)
  }

  private func put(_ fileName: String, _ bytes: [UInt8], limit: UInt64) throws(DumpError) {
    let sink = try begin(fileName, stall: limit)
    try sink.write(bytes)
    try sink.finish()
  }

  func complete() throws(DumpError) -> String {
    try sink?.finish()
    if isRenamed {
      let status = try curl.statuses(
        ["--request", "MOVE", "--header", "Destination: \(final)", "--header", "Overwrite: F"], [directory])
      guard status == [201] || status == [204] else {
        throw DumpError("the server does not rename the directory: status \(status.first ?? 0)", at: directory)
      }
    }
    isComplete = true
    return name
  }

  func abandon(note: String) -> String {
    if !isComplete {
      _ = sink?.abandon()
      try? put(DirectoryDestination.noteName, Array(note.utf8), limit: 15)
    }
    return isComplete || !isRenamed ? name : name + incompleteSuffix
  }

  /// A server keeps what was sent as a whole.
  func bytesThere() -> UInt64? { 0 }
}
