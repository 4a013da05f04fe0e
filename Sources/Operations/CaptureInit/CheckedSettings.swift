public import CoreFormat
public import DumpBasics
public import DumpTarget
internal import LinuxSystem
public import PageSelection

/// The settings of this machine, looked at before a crash: for whoever prepares a crash kernel.
public struct CheckedSettings: Sendable {
  /// As they stand, in order, each with where it stood.
  public var targets: [(word: String, origin: String)] = []
  /// What is wrong: each names its place and what is allowed.
  public var problems: [DumpError] = []
  /// What is for this system, and not for its crash kernel.
  public var running: RunningSettings
  /// What a dump is to be.
  public var level: Level
  public var format: OutputFormat
  /// How dumps travel.
  public var transfer: TransferOptions
  /// What the crash kernel is told beside its targets: words `key=value`.
  public var words: [String] = []

  /// - Parameters:
  ///   - file: the text of the file at `path`.
  ///   - commandLine: of the running kernel; what stands there comes later and wins.
  public init(file: String, path: String, commandLine: String) {
    let all = Words.ofFile(file, path) + Words.ofKernelCommandLine(commandLine)
    let settings = Settings(all)
    targets = settings.targets.map { ($0.value, $0.origin ?? path) }
    (level, format, transfer) = (settings.level.value, settings.format.value, settings.transfer)
    var problems = CheckedSettings.textProblems(file, path) + settings.problems
    running = RunningSettings(all, problems: &problems)
    running.report = settings.report.value
    for (name, wanted) in [("final", settings.final), ("failure", settings.failure)] {
      guard let wanted, wanted.value.hasExit else { continue }
      problems.append(
        DumpError(
          .usage, "\(name)=: a crash kernel's first program can't exit", at: wanted.origin ?? path,
          advice: "take exit out; reboot, poweroff, halt, kexec or shell:TIME follow what was saved there"))
    }
    self.problems = problems
    let notForCrashKernel = SettingKey.notForCrashKernel
    for word in all {
      guard let (key, value) = try? SettingKey.parse(word), !notForCrashKernel.contains(key.name) else { continue }
      var scratch = Settings([])
      if (try? key.apply(value, word, &scratch)) != nil { words.append("\(key.name)=\(value)") }
    }
  }

  /// What would be taken for another thing than was meant: an open quotation mark takes all that follows it
  /// in its line into one word.
  private static func textProblems(_ file: String, _ path: String) -> [DumpError] {
    var problems: [DumpError] = []
    if file.utf8.starts(with: [0xef, 0xbb, 0xbf]) {
      problems.append(
        DumpError(.usage, "the file begins with a byte order mark", at: path, advice: "save it as UTF-8 without one"))
    }
    for (index, line) in file.utf8.split(separator: 0x0a, omittingEmptySubsequences: false).enumerated() {
      for word in line.split(separator: 0x20) {
        if word.first == 0x23 { break }
        if word.contains(0x22) {
          if line.count(where: { $0 == 0x22 }) % 2 != 0 {
            problems.append(
              DumpError(
                .usage, "a quotation mark has no end", at: "\(path), line \(index + 1)", advice: "close it in the same line"))
          }
          break
        }
      }
    }
    return problems
  }
}
