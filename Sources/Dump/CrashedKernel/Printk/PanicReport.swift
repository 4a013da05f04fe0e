/// The kinds of report that come before a panic, by how their first line begins, and the panics that they
/// lead to. All texts are format strings of kernels from 4.18 to 7.x; the source file stands behind each.
enum PanicReport: Sendable, CaseIterable {
  case oops, warning, sanitizer, softLockup, hardLockup, hungTask, stall, machineCheck, nmi, outOfMemory, other, trigger

  /// Whether `line` is the first one of such a report, or, where every line of it has one mark, any of it.
  func begins(_ line: Substring) -> Bool {
    switch self {
    // Others that begin so tell who holds what it waits for.
    case .hungTask:
      starts.contains { line.utf8.starts(with: $0.utf8) } && PanicReport.contains(Array(line.utf8), " for more than ")
    case .machineCheck: PanicReport.hardwareMark(line) != nil
    default: starts.contains { line.utf8.starts(with: $0.utf8) }
    }
  }

  /// What each line of a report of hardware begins with: `mce: [Hardware Error]: `, and the number of the
  /// report in front of it where firmware tells of it, `{7}[Hardware Error]: `.
  static func hardwareMark(_ line: Substring) -> Substring.UTF8View? {
    let bytes = line.utf8
    let mark = "[Hardware Error]: ".utf8
    var rest = bytes[...]
    if rest.first == UInt8(ascii: "{") {
      rest = rest.dropFirst().drop { (0x30...0x39).contains($0) }
      guard rest.first == UInt8(ascii: "}") else { return nil }
      rest = rest.dropFirst()
    } else if rest.starts(with: "mce: ".utf8) {
      rest = rest.dropFirst(5)
      if !rest.starts(with: mark) { return bytes.prefix(5) }
    }
    guard rest.starts(with: mark) else { return nil }
    return bytes[..<bytes.index(rest.startIndex, offsetBy: mark.count)]
  }

  private var starts: [String] {
    switch self {
    case .oops:
      // arch/x86/kernel/dumpstack.c, traps.c, arch/arm64/kernel/traps.c, arch/x86/mm/fault.c
      [
        "Oops: ", "Oops - ", "Internal error: ", "divide error: ", "invalid opcode: ", "general protection fault", "int3: ",
        "stack segment: ", "segment not present: ", "double fault: ", "PANIC: double fault", "overflow: 0000 [#",
        "bounds: 0000 [#",
        "alignment check: ", "invalid TSS: ", "coprocessor segment overrun: ", "debug: 0000 [#", "simd exception: ",
        "control protection: ",
        "Missing ENDBR: ", "kernel stack overflow", "BUG: stack guard page was hit", "BUG: TASK stack guard page was hit",
        "BUG: IRQ stack guard page was hit", "Insufficient stack space to handle exception", "Kernel stack overflow",
        "Bad mode in ", "Unhandled 64-bit ", "Unhandled 32-bit ", "SError Interrupt on CPU", "traps: PANIC: double fault",
      ] + PanicReport.oopsCauses
    case .warning: ["WARNING: "]  // kernel/panic.c, __warn
    case .sanitizer:
      // lib/ubsan.c, mm/kasan/report.c, mm/kfence/report.c, mm/kmsan/report.c, kernel/kcsan/report.c
      ["UBSAN: ", "BUG: KASAN: ", "BUG: KFENCE: ", "BUG: KMSAN: ", "BUG: KCSAN: ", "KASAN: "]
    case .softLockup: ["watchdog: BUG: soft lockup", "NMI watchdog: BUG: soft lockup", "BUG: soft lockup"]  // kernel/watchdog.c
    case .hardLockup:
      // kernel/watchdog.c, watchdog_perf.c, before 6.4 watchdog_hld.c
      [
        "watchdog: Watchdog detected hard LOCKUP", "NMI watchdog: Watchdog detected hard LOCKUP", "Watchdog detected hard LOCKUP",
        "watchdog: CPU",
      ]
    case .hungTask: ["INFO: task "]  // kernel/hung_task.c
    case .stall:
      // kernel/rcu/tree_stall.h: rcu: INFO: rcu_preempt detected stalls, … self-detected stall on CPU
      ["rcu: INFO: ", "INFO: rcu"]
    case .machineCheck:
      // arch/x86/kernel/cpu/mce/core.c; drivers/acpi/apei/ghes.c, drivers/firmware/efi/cper.c: `hardwareMark`
      []
    case .nmi:
      // arch/x86/kernel/nmi.c; drivers/watchdog/hpwdt.c
      [
        "Uhhuh. NMI received", "NMI: PCI system error (SERR)", "NMI: IOCK error", "NMI: memory parity error", "NMI: unknown",
        "hpwdt: ",
      ]
    case .outOfMemory: ["Out of memory", "Memory cgroup out of memory"]  // mm/oom_kill.c
    case .other:
      // lib/list_debug.c, mm/slub.c, mm/page_alloc.c, kernel/locking, block, fs
      [
        "BUG: ", "list_add corruption", "list_del corruption", "refcount_t: ", "usercopy: ", "detected buffer overflow",
        "INFO: possible ", "INFO: lockdep is turned off",
      ]
    case .trigger: ["sysrq: Trigger a crash", "SysRq : Trigger a crash", "sysrq: SysRq : Trigger a crash"]  // drivers/tty/sysrq.c
    }
  }

  /// Those that end a machine without a panic: where nothing panics on them, or before it could.
  static let withoutPanic: [PanicReport] = [
    .oops, .sanitizer, .softLockup, .hardLockup, .hungTask, .stall, .machineCheck, .trigger,
  ]

  /// What an oops is about, in a line before the one that says so.
  static let oopsCauses = [
    "BUG: kernel NULL pointer dereference", "BUG: unable to handle ", "Unable to handle ", "kernel BUG at ", "BUG at ",
    "kernel tried to execute ", "usercopy: ", "list_add corruption", "list_del corruption", "detected buffer overflow",
    "CFI failure at ", "corrupted stack end detected", "Unexpected reschedule of offline CPU",
  ]

  /// The kinds that lead to this panic; none where it says all itself.
  static func leading(to panic: Substring) -> [PanicReport] {
    let table: [(String, [PanicReport])] = [
      // oops_end, die: the report is an oops. An init that dies may have been killed by one.
      ("Fatal exception", [.oops]), ("Oops", [.oops]), ("Fatal error", [.oops, .machineCheck]), ("Attempted to kill", [.oops]),
      ("Aiee, killing interrupt handler", [.oops]), ("Kernel mode fault", [.oops]), ("bad mode", [.oops]),
      ("kernel stack overflow", [.oops]), ("double fault", [.oops]), ("Machine halted", [.oops]),
      // arch/arm64/kernel/traps.c: arm64_serror_panic, __panic_unhandled
      ("SError Interrupt", [.oops]), ("Unhandled exception", [.oops]),
      // check_panic_on_warn, kernel/panic.c: "%s: panic_on_warn set ..."
      ("UBSAN: ", [.sanitizer]), ("KASAN: ", [.sanitizer]), ("KFENCE: ", [.sanitizer]), ("KMSAN: ", [.sanitizer]),
      ("KCSAN: ", [.sanitizer]), ("kasan.fault=", [.sanitizer]), ("panic_on_warn", [.warning, .sanitizer, .other]),
      ("softlockup: hung tasks", [.softLockup]), ("Hard LOCKUP", [.hardLockup]), ("hard LOCKUP", [.hardLockup]),
      ("hung_task: blocked tasks", [.hungTask]), ("RCU Stall", [.stall]), ("rcu", [.stall]),
      ("machine check", [.machineCheck]), ("Machine check", [.machineCheck]), ("Machine Check", [.machineCheck]),
      ("Fatal hardware error", [.machineCheck]), ("Hardware Error", [.machineCheck]), ("NMI", [.nmi]),
      ("An NMI occurred", [.nmi]), ("System is deadlocked on memory", [.outOfMemory]), ("Out of memory", [.outOfMemory]),
      ("out of memory", [.outOfMemory]), ("bad_page", [.other]), ("panic_on_taint", [.other, .warning]),
    ]
    let text = Array(panic.utf8)
    return table.first { (needle, _) in contains(text, needle) }?.1 ?? []
  }

  private static func contains(_ text: [UInt8], _ needle: String) -> Bool {
    let wanted = Array(needle.utf8)
    guard text.count >= wanted.count else { return false }
    return (0...(text.count - wanted.count)).contains { text[$0..<$0 + wanted.count].elementsEqual(wanted) }
  }
}
