internal import Capture
internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem
internal import Workers

/// A shell for a person: on the console with job control where this is PID 1, else where this program runs.
/// Returns when it is left, or after `limitSeconds`.
func runShell(_ reporter: any Reporter, limitSeconds: UInt64? = nil) {
  let terminal = System.processID == 1 ? System.consoleTerminal : nil
  do throws(DumpError) {
    let ended = try System.run(Command("/bin/sh", terminal: terminal), limitSeconds: limitSeconds)
    if ended.end == .timedOut { reporter.warning("the shell's time is over") }
  } catch {
    reporter.warning("no shell: \(error)")
  }
}

/// Tries one after the other. Returns when all of them were shells that were left, or were refused.
func handOff(_ attempts: some Sequence<HandOff>, _ settings: Settings, _ reporter: any Reporter) {
  for attempt in attempts {
    guard attempt.way == .shell else {
      endMachine(attempt.way, settings, reporter)
      continue
    }
    // By hand somebody asked for it just now.
    if System.processID == 1 {
      let end = attempt.limit.map { ", and it is ended after \($0) s" } ?? ""
      reporter.message("rescue shell; exit goes on to what follows\(end)")
    }
    Watchdogs.disarm(settings, reporter)
    runShell(reporter, limitSeconds: attempt.limit)
  }
}

/// Restarts, powers off or halts the machine, once everything written is on the disks. Returns when that is
/// refused.
///
/// A watchdog stays armed while the machine restarts: should that hang, it is what still restarts it. A
/// halted machine is to stay halted, and in a normal kernel that is started from here nobody may feed it
/// while the dump is still in memory.
private func endMachine(_ how: HandOff.Way, _ settings: Settings, _ reporter: any Reporter) {
  reporter.message("handing off: \(how.rawValue)")
  let staysUp = how == .halt || how == .kexec
  if staysUp { Watchdogs.disarm(settings, reporter) }
  let watchdogs = staysUp ? nil : Watchdogs.ofCrashKernel(settings, reporter)
  watchdogs?.feed()
  // A disk that hangs must not keep the machine down.
  let limit = settings.stallTime.value
  if let thread = SideThread() {
    thread.begin {
      System.sync()
      unmountDisks()
    }
    if !thread.wait(milliseconds: clampedProduct(limit, 1000)) {
      reporter.warning("a file system can't be written out or unmounted within \(limit) s: going on without")
    }
  } else {
    System.sync()
    unmountDisks()
  }
  watchdogs?.feed()
  // Open until the machine ends. Where it does not end, they run down.
  defer { withExtendedLifetime(watchdogs) {} }
  do throws(DumpError) {
    switch how {
    case .poweroff: try System.reboot(.powerOff)
    case .halt: try System.reboot(.halt)
    case .kexec: try System.reboot(.kexec)
    case .reboot, .shell, .exit: try System.reboot(.restart)
    }
  } catch {
    reporter.warning(error.description)
  }
}
