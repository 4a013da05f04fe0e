internal import Capture
internal import DumpBasics
internal import LinuxSystem

/// The whole of mcore-capture. `arguments` are those after the program's name; returns the exit status. As
/// PID 1 it does not return, and does not ask for the arguments: Swift reads them from /proc, which is not
/// there yet.
public func runCaptureProgram(_ arguments: @autoclosure () -> [String]) -> Int32 {
  // A target that goes away is an error like others, and the next one takes over.
  System.ignoreBrokenPipes()
  System.returnLargeBuffersWhenFreed()
  if System.processID == 1 { FirstProcess().run() }
  let arguments = arguments()
  if arguments.first == FirstProcess.childWord { return runAsChild(Array(arguments.dropFirst())) }
  if arguments.first == ReportChild.word { return ReportChild.run(Array(arguments.dropFirst())) }
  if arguments.contains(where: { ["--help", "-h", "help"].contains($0) }) { return printed(Help.text) }
  if arguments.contains(where: { ["--version", "version"].contains($0) }) { return printed(toolVersion + "\n") }
  return runByHand(arguments)
}

private func printed(_ text: String) -> Int32 {
  (try? File(borrowing: 1, name: "standard output").write(text)) == nil ? 1 : 0
}

/// A person or a script: what is wrong in the arguments is told before anything is done.
private func runByHand(_ arguments: [String]) -> Int32 {
  let reporter = ConsoleReporter()
  let own = Words.ofArguments(arguments)
  let typed = Settings(own)
  for problem in typed.problems { reporter.message("error: \(problem)") }
  if !typed.problems.isEmpty { return 2 }
  // What is wrong elsewhere was not typed just now, and must not stand in the way of somebody in a rescue
  // shell.
  let (others, unread) = SettingSources.words()
  for problem in unread + Settings(others).problems { reporter.warning("\(problem); it is not used") }
  var settings = Settings(others + own)
  if settings.source.value == memorySource { return runSecondStage(settings, reporter) }
  if settings.targets.isEmpty {
    reporter.message(
      "error: no target is given; name one, such as target=/dev/vda1:/var/crash (mcore-capture --help tells more)")
    return 2
  }
  // A machine's settings for its crash kernel must not restart it under the hands of somebody in a rescue
  // shell.
  (settings.final, settings.failure, settings.shell) = (typed.final, typed.failure, typed.shell)
  settings.network = typed.network
  NetworkUp.run(settings, reporter)

  if settings.shell.value { runShell(reporter) }
  let status = capture(settings, reporter, endsOnSignal: true)
  if let signal = System.heldSignal {
    // Whoever ends it wants to look at something, and not the machine to restart.
    Watchdogs.disarm(settings, reporter)
    return 128 + signal
  }
  let attempts = (isSaved(status) ? settings.final : settings.failure)?.value.attempts ?? []
  handOff(attempts.prefix { $0.way != .exit }, settings, reporter)
  Watchdogs.disarm(settings, reporter)
  return status
}

/// The work that PID 1 gave away: its words are the settings, already checked and complete.
private func runAsChild(_ words: [String]) -> Int32 {
  let reporter = ConsoleReporter(allowTerminal: false)
  let settings = Settings(Words.ofArguments(words))
  for problem in settings.problems { reporter.warning(problem.description) }
  let status = capture(settings, reporter)
  System.tellStatus(status)
  return status
}

/// Settings that are not arguments.
enum SettingSources {
  /// The words of the file and of the kernel command line, and which of the two could not be read. That there
  /// is no file is no problem.
  static func words() -> (words: [Word], problems: [DumpError]) {
    var words: [Word] = []
    var problems: [DumpError] = []
    let path = Settings.configurationFile
    if System.kind(of: path) != nil {
      do throws(DumpError) { words += Words.ofFile(try System.text(of: path), path) } catch { problems.append(error) }
    }
    do throws(DumpError) { words += Words.ofKernelCommandLine(try System.text(of: "/proc/cmdline")) } catch {
      problems.append(error)
    }
    return (words, problems)
  }
}
