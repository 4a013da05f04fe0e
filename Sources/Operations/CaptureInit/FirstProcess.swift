internal import Capture
internal import DumpBasics
internal import LinuxSystem

/// mcore-capture as /init. It prepares the system, lets a child do the work, and hands the machine on. The
/// kernel panics when PID 1 ends, whatever the cause: so the work, which reads what a broken kernel left
/// behind, is done by another process, and nothing here ends but by `handOff`.
struct FirstProcess {
  /// The first argument of the child that saves the dump. Not for people.
  static let childWord = "--child"

  private let reporter = ConsoleReporter(allowTerminal: false)

  func run() -> Never {
    let mountProblems = EarlySystem.mountAll()
    // Where /dev could not be mounted, the console is what the kernel opened for us, if anything.
    let consoleProblem = EarlySystem.openConsole()
    EarlySystem.setEnvironment()
    reporter.message("\(toolVersion), PID 1, \(System.usableCPUs) CPUs usable")
    for problem in mountProblems + consoleProblem { reporter.warning(problem.description) }

    let settings = readSettings()
    for problem in EarlySystem.loadModules(settings.modules) { reporter.warning(problem.description) }
    NetworkUp.run(settings, reporter)
    if settings.shell.value {
      reporter.message("rescue shell; mcore-capture target=... saves the crashed kernel; exit goes on, reboot -f restarts")
      Watchdogs.disarm(settings, reporter)
      runShell(reporter)
    }
    Hooks.run("before", settings, reporter)
    let status = save(settings)
    Hooks.run(isSaved(status) ? "after" : "failed", settings, reporter)
    end(isSaved(status) ? settings.final : settings.failure, settings)
  }

  /// A typing error costs its own setting, never the dump.
  private func readSettings() -> Settings {
    let (words, problems) = SettingSources.words()
    let arguments = FirstProcess.arguments((try? System.text(of: "/proc/self/cmdline")) ?? "")
    let settings = Settings(words + Words.ofArguments(FirstProcess.ownArguments(arguments)))
    for problem in problems + settings.problems { reporter.warning("\(problem); it is not used") }
    return settings
  }

  /// What follows the program's name in /proc/self/cmdline: each argument ends with a NUL.
  static func arguments(_ commandLine: String) -> [String] {
    commandLine.utf8.split(separator: 0).dropFirst().map { String(decoding: $0, as: UTF8.self) }
  }

  /// Those of PID 1's arguments that are meant for it. The kernel hands on plain words that it does not know
  /// (`quiet` misspelt, say); `key=value` words go to the environment, and words with a dot nowhere
  /// (unknown_bootoption in init/main.c). So what has a `=` here stood after a `--`.
  static func ownArguments(_ arguments: [String]) -> [String] {
    arguments.filter { $0.utf8.contains(0x3d) && !$0.utf8.starts(with: Words.prefix.utf8) }
  }

  // MARK: saving

  private func save(_ settings: Settings) -> Int32 {
    if settings.targets.isEmpty {
      reporter.message(
        "error: no target is given, so nothing is saved; put mcore.target=/dev/vda1:/var/crash on the crash kernel's "
          + "command line, or target=... into \(Settings.configurationFile)")
      return 2
    }
    var words = FirstProcess.childWords(settings)
    // A child that was killed (out of memory, say) gets another chance with as little memory as can be, and
    // then one in which the kernel's page map, which may be damaged in a way that nobody thought of, is not
    // looked at. The report is left to the next boot.
    let others = [
      ("with one thread", ["threads=1", "report=no"]), ("with every page", ["threads=1", "report=no", "trust=nothing"]),
    ]
    for attempt in 0...others.count {
      do throws(DumpError) {
        let result = try System.run(Command("/proc/self/exe", [FirstProcess.childWord] + words, tellsStatus: true))
        switch result.end {
        case .exited(let status): return status
        case .killed(let signal): reporter.warning("saving was ended by signal \(signal)")
        case .timedOut: reporter.warning("saving came to no end")
        }
      } catch {
        reporter.warning("no child could be started (\(error)): saving without one")
        return capture(settings, reporter)
      }
      if attempt < others.count {
        reporter.message("trying once more, \(others[attempt].0)")
        words += others[attempt].1
      }
    }
    keepLittle(settings)
    return 1
  }

  /// No child came to an end by itself. One more, without a target: it reads the log, and goes to the last
  /// resort.
  private func keepLittle(_ settings: Settings) {
    guard settings.last != nil else { return }
    var settings = settings
    settings.targets = []
    let words = FirstProcess.childWords(settings) + ["threads=1", "trust=nothing", "report=no"]
    _ = try? System.run(Command("/proc/self/exe", [FirstProcess.childWord] + words, tellsStatus: true), limitSeconds: 120)
  }

  /// The settings that saving goes by, as words.
  static func childWords(_ settings: Settings) -> [String] {
    let limits = [
      ("max-time", settings.maxTime.value), ("max-size", settings.maxSize.value), ("max-rate", settings.maxRate.value),
    ]
    let files = [("ssh-key", settings.sshKey), ("ssh-known-hosts", settings.sshKnownHosts), ("curl-config", settings.curlConfig)]
    let stall = settings.stallTime.value
    var words = settings.targets.map { "target=\($0.value)" } + settings.mirrors.map { "mirror=\($0.value)" }
    words += limits.filter { $0.1 > 0 }.map { "\($0.0)=\($0.1)" }
    words += [
      settings.level.value.setting, "trust=\(settings.trust.value.rawValue)", "format=\(settings.format.value.rawValue)",
      "speed=\(settings.speed.value.rawValue)", "threads=\(settings.threads.value)", "source=\(settings.source.value)",
      "wait=\(settings.wait.value)",
      "watchdog=\(settings.watchdog.value.rawValue)", "normal=\(settings.normal.value)", "attempts=\(settings.attempts.value)",
      "stall-time=\(stall == 0 ? "none" : "\(stall)")", "force=\(settings.force.value ? "yes" : "no")",
      "report=\(settings.report.value ? "yes" : "no")",
    ]
    words += files.compactMap { name, path in path.map { "\(name)=\($0.value)" } }
    words += settings.region.map { ["region=\($0.value)"] } ?? []
    words += settings.nonce.map { ["nonce=\($0.value)"] } ?? []
    words += settings.last.map { ["last=\($0.value)"] } ?? []
    return words
  }

  // MARK: the end

  private func end(_ wanted: Placed<HandOffs>?, _ settings: Settings) -> Never {
    if let wanted, wanted.value.hasExit {
      reporter.warning("PID 1 can't exit (\(wanted.origin ?? "built in")): that is left out")
    }
    let attempts = HandOffs.ofFirstProcess(wanted?.value, isKernelLoaded: System.isKernelLoaded(.next))
    handOff(attempts, settings, reporter)
    // Refused. The machine must not stay down: what is left is the kernel's own emergency restart.
    try? File("/proc/sysrq-trigger", .readWrite).write("b")
    reporter.message("this machine could not be ended; switch it off and on")
    while true {
      System.reapOrphans()
      System.pause(milliseconds: 1000)
    }
  }
}
