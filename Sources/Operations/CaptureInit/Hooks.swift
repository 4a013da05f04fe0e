internal import Capture
internal import DumpBasics
internal import LinuxSystem

/// Programs of an administrator that `mcore arm` put into the crash initramfs. They are run by PID 1, one
/// after the other, each with a time limit. What comes of them is told, and changes nothing.
enum Hooks {
  static let directory = "/hooks"
  private static let kernelFacts = "/run/mcore-kernel"
  private static let dumpFacts = "/run/mcore-dump"

  static var areThere: Bool { System.kind(of: directory) != nil }

  /// Where the process that saves puts down what it knows of the kernel; nil where nobody asks.
  static var kernelFactsPath: String? { areThere ? kernelFacts : nil }

  /// What came of saving, for PID 1.
  static func putDown(_ result: SaveResult) {
    guard areThere else { return }
    try? System.replaceFile(
      dumpFacts,
      with: Array(
        "MCORE_RESULT=\(word(result.status))\nMCORE_PATH=\(printable(result.path))\nMCORE_BYTES=\(result.bytesWritten)\n".utf8))
  }

  private static func word(_ status: SaveStatus) -> String {
    switch status {
    case .complete: "complete"
    case .findings: "findings"
    case .cut: "cut"
    }
  }

  /// `stage` is `before`, `after` or `failed`.
  static func run(_ stage: String, _ settings: Settings, _ reporter: any Reporter) {
    guard let names = try? System.names(in: "\(directory)/\(stage)") else { return }
    // A later place wins, as among arguments of env(1).
    var facts = ["MCORE_STAGE=\(stage)", "MCORE_RESULT=\(stage == "before" ? "" : "failed")"]
    for path in [kernelFacts, dumpFacts] {
      let text = (try? System.text(of: path, limit: 1 << 14)) ?? ""
      facts += text.utf8.split(separator: 0x0a).map { String(decoding: $0, as: UTF8.self) }
    }
    let limit = settings.hookTime.value
    let feeder = Watchdogs.ofCrashKernel(settings, reporter).map {
      WatchdogFeeder($0, patience: limit + WatchdogFeeder.patience, reporter)
    }
    defer { withExtendedLifetime(feeder) {} }
    for name in names {
      Activity.step()
      let hook = "\(directory)/\(stage)/\(name)"
      reporter.message("hook \(hook)")
      do throws(DumpError) {
        switch try System.run(Command("env", facts + [hook], isApart: true), limitSeconds: limit).end {
        case .exited(0): break
        case .exited(let status): reporter.warning("hook \(hook) ended with \(status)")
        case .killed(let signal): reporter.warning("hook \(hook) was ended by signal \(signal)")
        case .timedOut: reporter.warning("hook \(hook) took longer than \(limit) s, and was ended")
        }
      } catch { reporter.warning("hook \(hook): \(error)") }
    }
  }
}
