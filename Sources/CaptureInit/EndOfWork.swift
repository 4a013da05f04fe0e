internal import Capture
internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem

/// A shell for a person: on the console with job control where this is PID 1, else where this program runs. Returns when
/// it is left.
func runShell(_ reporter: any Reporter) {
  let terminal = System.processID == 1 ? System.consoleTerminal : nil
  do throws(DumpError) {
    _ = try System.run(Command("/bin/sh", terminal: terminal))
  } catch {
    reporter.warning("no shell: \(error)")
  }
}

/// Restarts, powers off or halts the machine, once everything written is on the disks. Returns when that is refused.
func endMachine(_ how: HandOff, _ reporter: any Reporter) {
  reporter.message("handing off: \(how.rawValue)")
  System.sync()
  unmountDisks()
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
