internal import DumpBasics
internal import LinuxSystem

/// `pipe:COMMAND`: the dump alone, to the standard input of a shell's command line.
struct PipeTarget: TargetKind {
  static let form = "pipe:COMMAND"
  let command: String

  init?(parsing word: String) throws(DumpError) {
    guard let command = word.dropping(prefix: "pipe:") else { return nil }
    if command.utf8.allSatisfy({ $0 == 0x20 }) || command.utf8.contains(0) {
      throw DumpError(.usage, "there is no command", at: word, advice: "write one: pipe:'cat > /dev/vdb'")
    }
    self.command = command
  }

  /// What follows the program may be anything, a token too.
  var shown: String? {
    // NAME=value may be a token as well; so may whatever stands behind a shell's own characters.
    let plain = command.utf8.prefix { $0 > 0x20 && !Array("\"'`$;&|()<>{}\\=".utf8).contains($0) }
    let next = command.utf8.dropFirst(plain.count).first
    if next == nil { return "pipe:\(command)" }
    return next == 0x20 && !plain.isEmpty ? "pipe:\(Substring(plain)) ..." : "pipe:..."
  }

  var isRemote: Bool { true }
  var endsByItself: Bool { true }

  func open(_ dump: any DumpOffer) throws(DumpError) -> any Destination {
    let name = shown ?? ""
    let sink = try CommandSink(
      Command("/bin/sh", ["-c", command], output: .collect), name: name, stall: dump.transfer.stallSeconds
    ) { DumpError(kind(of: $0.output), told($0, "the command"), at: name) }
    return PipeDestination(sink)
  }
}

final class PipeDestination: Destination {
  let acceptsSideFiles = false
  private let sink: CommandSink
  init(_ sink: CommandSink) { self.sink = sink }

  var name: String { sink.name }
  func openDump(fileName: String) throws(DumpError) -> any DumpSink { sink }
  func writeSideFile(_ fileName: String, _ bytes: [UInt8]) throws(DumpError) {}
  func complete() throws(DumpError) -> String { name }

  func abandon(note: String) -> String {
    _ = sink.abandon()
    return name
  }
}
