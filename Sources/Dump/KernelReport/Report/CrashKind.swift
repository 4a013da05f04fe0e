internal import DumpBasics

// Which kind of crash, and which frames tell one bug of it from another.
extension Signature {
  /// What the text of a kind begins with; the first that fits counts. All are format strings of kernels from
  /// 4.18 to 7.x (`PanicReport`).
  private static let kinds: [(kind: String, starts: [String])] = [
    ("sysrq", ["sysrq triggered", "Trigger a crash", "SysRq : Trigger a crash"]),
    (
      "stack-overflow",
      [
        "kernel stack overflow", "Kernel stack overflow", "BUG: stack guard page", "BUG: TASK stack guard page",
        "BUG: IRQ stack guard page", "stack guard page", "Insufficient stack space",
      ]
    ),
    (
      "null-pointer",
      [
        "BUG: kernel NULL pointer", "BUG: unable to handle kernel NULL pointer", "Unable to handle kernel NULL pointer",
        "unable to handle kernel NULL pointer", "kernel NULL pointer",
      ]
    ), ("page-fault", ["BUG: unable to handle", "Unable to handle", "unable to handle", "kernel tried to execute"]),
    ("general-protection", ["general protection"]), ("soft-lockup", ["BUG: soft lockup", "softlockup", "soft lockup"]),
    ("hard-lockup", ["Watchdog detected hard LOCKUP", "Hard LOCKUP", "hard LOCKUP"]),
    ("hung-task", ["hung_task", "INFO: task "]),
    ("bug", ["kernel BUG", "BUG at ", "invalid opcode"]),
    (
      "out-of-memory",
      ["Out of memory", "out of memory", "Memory cgroup out of memory", "System is deadlocked on memory"]
    ),
    (
      "machine-check",
      [
        "Fatal machine check", "Fatal local machine check", "Machine check", "machine check", "[Hardware Error]",
        "Timeout: Not all CPUs entered broadcast exception handler", "Timeout synchronizing machine check",
      ]
    ), ("init-killed", ["Attempted to kill"]), ("divide-error", ["divide error"]),
    ("kasan", ["BUG: KASAN", "KASAN", "kasan.fault"]),
    ("nmi", ["NMI", "Uhhuh. NMI", "An NMI occurred"]), ("rcu-stall", ["INFO: rcu", "RCU Stall"]),
    ("double-fault", ["double fault", "PANIC: double fault"]), ("warning", ["WARNING: ", "panic_on_warn"]),
  ]

  /// What may stand before these texts: who speaks.
  private static let speakers = [
    "watchdog: ", "NMI watchdog: ", "rcu: ", "traps: ", "sysrq: ", "mce: ", "Oops: ", "Oops - ", "Internal error: ", "kernel: ",
  ]

  /// The kind of crash, from the log's line that tells the reason: of the cause that stands in parentheses
  /// behind a panic, else of the panic itself. Text inside either says nothing: others write there too.
  static func kind(_ reason: String?) -> String {
    guard let reason else { return "unknown" }
    let bytes = Array(reason.utf8)
    let panic = Array("Kernel panic - not syncing: ".utf8)
    guard bytes.starts(with: panic) else { return kind(of: bytes[...]) ?? "panic" }
    let text = bytes[panic.count...]
    // A panic's own text may have parentheses.
    for place in text.indices.dropFirst() where text[place - 1] == UInt8(ascii: " ") && text[place] == UInt8(ascii: "(") {
      if let kind = kind(of: text[(place + 1)...]) { return kind }
    }
    return kind(of: text) ?? "panic"
  }

  private static func kind(of text: ArraySlice<UInt8>) -> String? {
    var text = text
    while let speaker = speakers.first(where: { text.starts(with: $0.utf8) }) { text = text.dropFirst(speaker.utf8.count) }
    // `CPU3: Watchdog detected hard LOCKUP on cpu 4`
    if text.starts(with: "CPU".utf8) {
      let rest = text.dropFirst(3).drop { (0x30...0x39).contains($0) }
      if rest.starts(with: ": ".utf8) { text = rest.dropFirst(2) }
    }
    return kinds.first { entry in entry.starts.contains { text.starts(with: $0.utf8) } }?.kind
  }

  /// The process of `INFO: task NAME:PID blocked for more than 30 seconds.`; a name may have colons.
  static func hungPID(_ reason: String?) -> Int32? {
    guard let reason, let start = place(of: "INFO: task ", in: reason) else { return nil }
    let text = Array(reason.utf8)[start...]
    for mark in [" blocked for more than ", " blocked in I/O wait for more than ", " is blocked on "] {
      guard let end = place(of: mark, in: reason), end > start else { continue }
      let name = text[..<(end - mark.utf8.count)]
      guard let colon = name.lastIndex(of: UInt8(ascii: ":")) else { continue }
      return Int32(String(decoding: name[(colon + 1)...], as: UTF8.self))
    }
    return nil
  }

  /// The CPU of `Watchdog detected hard LOCKUP on cpu 4`: another one may have seen it.
  static func lockedCPU(_ reason: String?) -> Int? {
    guard let reason, let start = place(of: "hard LOCKUP on cpu ", in: reason) else { return nil }
    return Int(String(decoding: Array(reason.utf8)[start...].prefix { (0x30...0x39).contains($0) }, as: UTF8.self))
  }

  /// Behind the last occurrence of `piece`.
  private static func place(of piece: String, in text: String) -> Int? {
    let text = Array(text.utf8)
    return stride(from: text.count - piece.utf8.count, through: 0, by: -1).first { text[$0...].starts(with: piece.utf8) }
      .map { $0 + piece.utf8.count }
  }
}

extension ReportContent {
  /// What an interrupt of arm64 begins with, where no registers of what it interrupted are known.
  private static let interrupts: Set<String> = ["el1h_64_irq", "el1h_64_fiq", "el1_irq", "el1h_64_error"]

  /// The frames that tell one bug from another.
  var tellingFrames: ArraySlice<Frame> {
    let kind = Signature.kind(reason)
    // The one that panics is a watchdog: the bug is in what the task that hangs waits for.
    if kind == "hung-task", let hung { return hung.frames.drop { WaitFinder.isScheduler($0.place.function) } }
    let frames = (crashed?.trace.frames ?? []).prefix { $0.isReliable }
    switch kind {
    case "out-of-memory":
      // Who needs the page that is one too many is an accident.
      if let end = frames.firstIndex(where: { normalisedFunction($0.place.function ?? "") == "out_of_memory" }) {
        return frames[...end]
      }
    case "nmi":
      // An NMI that somebody sent from outside interrupts whatever happens to run.
      if let end = frames.dropFirst().firstIndex(where: { $0.registers != nil }) { return frames[..<end] }
    case "soft-lockup", "hard-lockup", "rcu-stall":
      // A timer saw it: what went on for too long is what the timer interrupted.
      if let cpu = Signature.lockedCPU(reason), let other = others.first(where: { $0.processor.number == cpu }) {
        return other.trace.frames.prefix { $0.isReliable }
      }
      if let start = frames.dropFirst().firstIndex(where: { $0.registers != nil }) { return frames[start...] }
      if let entry = frames.firstIndex(where: { ReportContent.interrupts.contains($0.place.function ?? "") }) {
        return frames[(entry + 1)...]
      }
    default: break
    }
    return frames
  }
}
