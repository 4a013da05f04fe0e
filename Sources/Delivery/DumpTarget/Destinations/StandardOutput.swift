internal import DumpBasics
internal import LinuxSystem

/// `-`: the dump alone, to standard output.
struct StandardOutputTarget: TargetKind {
  static let form = "- (standard output)"

  init?(parsing word: String) throws(DumpError) {
    if word != "-" { return nil }
  }

  var endsByItself: Bool { true }

  func open(_ dump: any DumpOffer) throws(DumpError) -> any Destination {
    if System.isTerminal(1) {
      throw DumpError(
        .usage, "a dump can't be written to a terminal", at: "-", advice: "redirect standard output, or name a file")
    }
    return StandardOutputDestination(descriptor: 1)
  }
}

final class StandardOutputDestination: Destination {
  let name = "standard output"
  let acceptsSideFiles = false
  private let descriptor: Int32

  init(descriptor: Int32) { self.descriptor = descriptor }

  func openDump(fileName: String) throws(DumpError) -> any DumpSink { StreamSink(descriptor: descriptor, name: name) }
  func writeSideFile(_ fileName: String, _ bytes: [UInt8]) throws(DumpError) {}
  func complete() throws(DumpError) -> String { name }
  func abandon(note: String) -> String { name }
}

/// A descriptor that may be a pipe: zeros have to be written.
final class StreamSink: DumpSink {
  let name: String
  private let file: File

  init(descriptor: Int32, name: String) {
    file = File(borrowing: descriptor, name: name)
    self.name = name
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(DumpError) { unsafe try file.write(bytes) }

  /// A pipe can't be synced; a file that standard output was redirected to can.
  func finish() throws(DumpError) {
    if file.isRegular { try file.synchronize() }
  }
}
