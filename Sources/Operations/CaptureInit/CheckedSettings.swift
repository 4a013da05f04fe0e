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
    var problems = settings.problems
    running = RunningSettings(all, problems: &problems)
    self.problems = problems
    let notForCrashKernel = SettingKey.notForCrashKernel
    for word in all {
      guard let (key, value) = try? SettingKey.parse(word), !notForCrashKernel.contains(key.name) else { continue }
      var scratch = Settings([])
      if (try? key.apply(value, word, &scratch)) != nil { words.append("\(key.name)=\(value)") }
    }
  }
}
