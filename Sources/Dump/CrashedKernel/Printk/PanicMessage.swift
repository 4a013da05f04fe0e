extension KernelLog {
  /// Why the machine stopped, in one line, as far as the log says. Nil when nothing in it looks like a
  /// reason.
  ///
  /// A guess from well-known texts: the last panic (with what led to it, when the panic itself only says that
  /// there was something), else the last bug, else the last oops, else a crash by sysrq. At most 250
  /// characters; printable ASCII, since that is what the log's text is.
  public var panicMessage: String? {
    var panic: Substring?
    var cause: (line: Substring, number: Int)?
    var oops: (line: Substring, number: Int)?
    var trigger: Substring?
    for (number, whole) in lines.suffix(KernelLog.searchedLines).enumerated() {
      let line = KernelLog.withoutTime(whole)
      if let found = line.from("Kernel panic - not syncing") {
        panic = found
      } else if let found = KernelLog.oopses.lazy.compactMap(line.from).first {
        // The lines before an oops name its cause: "BUG: kernel NULL pointer dereference", "Unable to handle
        // …".
        if let cause, number - cause.number <= 12 {
          oops = (cause.line, number)
        } else {
          oops = (found, number)
        }
      } else if let found = KernelLog.causes.lazy.compactMap(line.from).first {
        cause = (found, number)
      } else if let found = line.from("sysrq: Trigger a crash") ?? line.from("SysRq : Trigger a crash") {
        trigger = found
      }
    }
    var reason = cause?.line ?? trigger
    if let oops, oops.number >= cause?.number ?? 0 { reason = oops.line }
    if let panic {
      let saysLittle = KernelLog.consequences.contains { panic.from($0) != nil }
      let full = saysLittle ? reason.map { "\(panic) (\($0))" } ?? String(panic) : String(panic)
      return String(full.prefix(250))
    }
    return reason.map { String($0.prefix(250)) }
  }

  /// The end of a log is where the reason stands; the rest would only cost time.
  private static let searchedLines = 20_000

  /// How the line that an oops begins with begins. Before 6.11 that of an exception has its name alone.
  private static let oopses = [
    "Internal error: ", "Oops: ", "invalid opcode: ", "divide error: ", "stack segment: ", "double fault: ", "int3: ",
  ]

  /// What is a reason by itself.
  private static let causes = [
    "BUG: ", "Unable to handle ", "unable to handle ", "kernel BUG at ", "general protection fault", "hard LOCKUP",
    "hung_task: blocked tasks", "watchdog: BUG: ", "Fatal local machine check", "rcu_sched self-detected stall",
  ]

  /// Panics that only say that something came before.
  private static let consequences = [
    "Fatal exception", "Oops", "panic_on_warn", "softlockup", "Attempted to kill", "Fatal error", "hard LOCKUP",
  ]

  /// Without `[    1.234567] `.
  private static func withoutTime(_ line: String) -> Substring {
    guard line.utf8.first == UInt8(ascii: "["), let end = line.utf8.firstIndex(of: UInt8(ascii: "]")) else {
      return line[...]
    }
    return line[line.utf8.index(after: end)...].drop { $0 == " " }
  }
}

extension Substring {
  /// From the first place where `text` stands to the end of the line; nil when it does not.
  fileprivate func from(_ text: String) -> Substring? {
    // The standard library's search for a string needs Foundation or macOS; lines are short.
    let pattern = text.utf8
    var rest = self
    while rest.utf8.count >= pattern.count {
      if rest.utf8.starts(with: pattern) { return rest }
      rest = rest[rest.utf8.index(after: rest.startIndex)...]
    }
    return nil
  }
}
