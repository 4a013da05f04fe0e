internal import DumpBasics
internal import LinuxSystem

/// The dump, fed to a program that runs beside: zeros have to be written.
final class CommandSink: DumpSink {
  let name: String
  private let stall: UInt64
  /// Why the program ended too early, from its status and what it said.
  private let reason: (ProcessResult) -> DumpError
  /// What is wrong although the program ended well.
  private let refusal: (ProcessResult) -> DumpError?
  private var child: PipedChild?
  private(set) var position: UInt64 = 0

  init(
    _ command: Command, name: String, stall: UInt64, refusal: @escaping (ProcessResult) -> DumpError? = { _ in nil },
    reason: @escaping (ProcessResult) -> DumpError
  ) throws(DumpError) {
    self.name = name
    self.stall = stall
    self.reason = reason
    self.refusal = refusal
    child = try PipedChild(command)
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(DumpError) {
    guard let child else { throw DumpError("it was closed already", at: name) }
    do throws(DumpError) {
      unsafe try child.write(bytes, stall: stall)
      position += UInt64(bytes.count)
    } catch {
      self.child = nil
      // It has closed its input: mostly it says why, and ends.
      if error.kind == .system(System.brokenPipe) { throw reason(try child.wait(stall: stall)) }
      _ = child.stop()
      throw DumpError(error.kind, error.what, at: name, advice: error.advice)
    }
  }

  /// The program has taken everything, and says that all is well.
  func finish() throws(DumpError) {
    guard let child else { return }
    self.child = nil
    let result = try child.wait(stall: stall)
    if result.end != .exited(0) { throw reason(result) }
    if let refusal = refusal(result) { throw refusal }
  }

  /// For the way out of an error. True when the program ended by itself, with all that it was given.
  func abandon() -> Bool {
    guard let child else { return false }
    self.child = nil
    // Without its end the other side would wait for more.
    return (try? child.wait(stall: min(stall == 0 ? 10 : stall, 10)).end) == .exited(0)
  }
}

/// What became of a program that was to take something, for people; `name` is what it is called.
func told(_ result: ProcessResult, _ name: String) -> String {
  switch result.end {
  case .timedOut: "\(name) did not come to an end in time"
  case .killed(let signal): "\(name) was ended by signal \(signal)"
  case .exited(let status):
    result.output.isEmpty ? "\(name) ended with status \(status)" : "\(name): \(lastLine(result.output))"
  }
}

/// What kind of failure a program's words are about.
func kind(of output: String) -> DumpError.Kind {
  for word in ["No space left", "quota exceeded", "Quota exceeded"] where output.split(atFirst: word) != nil { return .full }
  return .input
}
