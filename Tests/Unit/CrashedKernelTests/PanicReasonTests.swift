import CrashedKernel
import DumpBasics
import Testing

/// The ends of sixty logs, made from the kernels' own format strings, and the reason that each gives.
@Suite struct PanicReasonTests {
  struct Tail: CustomTestStringConvertible {
    var lines: [String]
    /// The index of the line that is the cause; nil where the panic says all, or there is none.
    var cause: Int?
    /// The index of the panic; nil where the cause alone is the reason.
    var panic: Int?
    var testDescription: String { lines.last ?? "" }
  }

  private static let panic = "Kernel panic - not syncing: "

  /// A panic with the report that led to it in the first line.
  private static func led(_ lines: String..., to text: String) -> Tail {
    Tail(lines: lines + [panic + text], cause: 0, panic: lines.count)
  }

  /// A panic that says all itself.
  private static func alone(_ lines: String..., panic text: String) -> Tail {
    Tail(lines: lines + [panic + text], cause: nil, panic: lines.count)
  }

  static let tails: [Tail] = [
    // arch/x86/mm/fault.c, arch/x86/kernel/dumpstack.c, traps.c
    led(
      "BUG: kernel NULL pointer dereference, address: 0000000000000008", "#PF: supervisor read access in kernel mode",
      "#PF: error_code(0x0000) - not-present page", "Oops: 0000 [#1] PREEMPT SMP PTI", to: "Fatal exception"),
    led(
      "BUG: unable to handle page fault for address: ffffc90000000000", "#PF: supervisor write access in kernel mode",
      "Oops: 0002 [#1] SMP NOPTI", to: "Fatal exception in interrupt"),
    led(
      "BUG: unable to handle kernel NULL pointer dereference at 0000000000000010", "PGD 0 P4D 0", "Oops: 0002 [#1] SMP",
      to: "Fatal exception"),
    led(
      "kernel tried to execute NX-protected page - exploit attempt? (uid: 0)",
      "BUG: unable to handle page fault for address: ffff888003c0ffee",
      "Oops: 0011 [#1] PREEMPT SMP", to: "Fatal exception"
    ).second,
    led("divide error: 0000 [#1] PREEMPT SMP NOPTI", to: "Fatal exception in interrupt"),
    led("Oops: divide error: 0000 [#1] SMP NOPTI", to: "Fatal exception"),
    led("general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP", to: "Fatal exception"),
    led(
      "Oops: general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] SMP NOPTI",
      to: "Fatal exception"),
    led("general protection fault: 0000 [#1] SMP PTI", to: "Fatal exception"),
    led("kernel BUG at mm/slub.c:448!", "invalid opcode: 0000 [#1] SMP PTI", to: "Fatal exception"),
    led("kernel BUG at fs/ext4/inode.c:2721!", "Oops: invalid opcode: 0000 [#1] PREEMPT SMP NOPTI", to: "Fatal exception"),
    led("invalid opcode: 0000 [#1] PREEMPT SMP NOPTI", to: "Fatal exception"),
    led("int3: 0000 [#1] PREEMPT SMP NOPTI", to: "Fatal exception"),
    led("stack segment: 0000 [#1] SMP", to: "Fatal exception"),
    led("PANIC: double fault, error_code: 0x0", to: "Fatal exception in interrupt"),
    led("traps: PANIC: double fault, error_code: 0x0", "CPU: 0 PID: 99 Comm: a Not tainted 6.12.0 #1", to: "Machine halted."),
    led("traps: PANIC: double fault, error_code: 0x0", to: "Fatal exception in interrupt"),
    led(
      "BUG: TASK stack guard page was hit at 0000000012345678 (stack is 0000000087654321..000000009abcdef0)",
      "stack guard page: 0000 [#1] PREEMPT SMP", to: "Fatal exception in interrupt"),
    led("control protection: 0000 [#1] PREEMPT SMP", to: "Fatal exception"),
    led("Missing ENDBR: foo+0x0/0x10", "kernel BUG at arch/x86/kernel/traps.c:255!", to: "Fatal exception").second,
    // arch/arm64/kernel/traps.c, arch/arm64/mm/fault.c
    led(
      "Unable to handle kernel paging request at virtual address dead000000000108", "Mem abort info:",
      "Internal error: Oops: 0000000096000044 [#1] SMP", to: "Oops: Fatal exception in interrupt"),
    led(
      "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000",
      "Internal error: Oops: 96000004 [#1] PREEMPT SMP",
      to: "Oops: Fatal exception"),
    led(
      "Internal error: synchronous external abort: 0000000096000210 [#1] SMP", to: "synchronous external abort: Fatal exception"),
    led("Insufficient stack space to handle exception!", to: "kernel stack overflow"),
    led("SError Interrupt on CPU0, code 0x00000000bf000000 -- SError", to: "Asynchronous SError Interrupt"),
    led(
      "Unhandled 64-bit el1h sync exception on CPU1, ESR 0x0000000002000000 -- Unknown/Uncategorized", to: "Unhandled exception"),
    led("Internal error: Oops - BUG: 00000000f2000800 [#1] SMP", to: "Oops - BUG: Fatal exception"),
    // kernel/panic.c
    led("WARNING: CPU: 0 PID: 1 at kernel/foo.c:12 foo+0x1/0x2", to: "kernel: panic_on_warn set ..."),
    led("WARNING: kernel/sched/core.c:6123 at __schedule+0x5/0x10, CPU#1: kworker/1:0/21", to: "kernel: panic_on_warn set ..."),
    led("WARNING: CPU: 1 PID: 99 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110", to: "panic_on_warn set ..."),
    // lib/ubsan.c, mm/kasan/report.c, mm/kfence/report.c, mm/kmsan/report.c, kernel/kcsan/report.c
    led("UBSAN: array-index-out-of-bounds in drivers/x.c:1:2", to: "UBSAN: panic_on_warn set ..."),
    led("BUG: KASAN: slab-use-after-free in foo+0x1/0x2", to: "KASAN: panic_on_warn set ..."),
    led("BUG: KASAN: slab-out-of-bounds in bar+0x1/0x2", to: "kasan.fault=panic set ..."),
    led("BUG: KFENCE: use-after-free read in foo+0x1/0x2", to: "KFENCE: panic_on_warn set ..."),
    led("BUG: KMSAN: uninit-value in foo+0x1/0x2", to: "KMSAN: panic_on_warn set ..."),
    led("BUG: KCSAN: data-race in foo / bar", to: "KCSAN: panic_on_warn set ..."),
    // kernel/watchdog.c, watchdog_perf.c, watchdog_hld.c
    led("watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [bash:1234]", to: "softlockup: hung tasks"),
    led("NMI watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [a:1]", to: "softlockup: hung tasks"),
    led("NMI watchdog: Watchdog detected hard LOCKUP on cpu 3", to: "Hard LOCKUP"),
    led("watchdog: Watchdog detected hard LOCKUP on cpu 3", to: "Hard LOCKUP"),
    led("watchdog: CPU3: Watchdog detected hard LOCKUP on cpu 3", to: "Hard LOCKUP"),
    // kernel/hung_task.c
    led("INFO: task kworker/0:1:9 blocked for more than 120 seconds.", "      Not tainted 6.1.0", to: "hung_task: blocked tasks"),
    led("INFO: task jbd2/vda1-8:147 blocked for more than 241 seconds.", to: "hung_task: blocked tasks"),
    led(
      "INFO: task foo:9 blocked for more than 120 seconds.", "      Not tainted 6.18.0",
      "INFO: task foo:9 is blocked on a mutex likely owned by task bar:10.", to: "hung_task: blocked tasks"),
    led("INFO: task foo:9 blocked in I/O wait for more than 120 seconds.", to: "hung_task: blocked tasks"),
    // kernel/rcu/tree_stall.h, kernel/rcu/tree.c
    led("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "rcu: \t1-...!: (1 GPs behind)", to: "RCU Stall"),
    led("rcu: INFO: rcu_sched self-detected stall on CPU", to: "RCU Stall"),
    led("INFO: rcu_sched self-detected stall on CPU", to: "RCU Stall"),
    // arch/x86/kernel/cpu/mce/core.c
    led("mce: [Hardware Error]: CPU 3: Machine Check Exception: 5 Bank 0: b200000000030005", to: "Fatal machine check"),
    led("mce: [Hardware Error]: CPU 0: Machine Check: 0 Bank 7: f200000000000001", to: "Fatal local machine check"),
    led("mce: [Hardware Error]: Machine check: Processor context corrupt", to: "Fatal machine check on current CPU"),
    led(
      "mce: [Hardware Error]: CPU 3: Machine Check Exception: 5 Bank 0: b200000000030005",
      "mce: [Hardware Error]: RIP !INEXACT! 10:<ffffffff81b6a2b0> {intel_idle+0x60/0x80}",
      "mce: [Hardware Error]: TSC 1d2 ADDR 0",
      "mce: [Hardware Error]: PROCESSOR 0:50654 TIME 1700000000 SOCKET 0 APIC 6 microcode 2006906",
      "mce: [Hardware Error]: Run the above through 'mcelog --ascii'",
      "mce: [Hardware Error]: Machine check: Processor context corrupt", to: "Fatal machine check"),
    // drivers/acpi/apei/ghes.c, drivers/firmware/efi/cper.c
    led(
      "{2}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 1",
      "{2}[Hardware Error]: event severity: fatal",
      "{2}[Hardware Error]:  Error 0, type: fatal", "{2}[Hardware Error]:   section_type: PCIe error",
      "{2}[Hardware Error]:   aer_uncor_status: 0x00100000", to: "Fatal hardware error!"),
    // arch/x86/kernel/nmi.c, drivers/watchdog/hpwdt.c
    led("Uhhuh. NMI received for unknown reason 2d on CPU 0.", to: "NMI: Not continuing"),
    led("NMI: PCI system error (SERR) for reason b1 on CPU 0.", to: "NMI: Not continuing"),
    led("NMI: IOCK error (debug interrupt?) for reason 71 on CPU 0.", to: "NMI IOCK error: Not continuing"),
    // mm/oom_kill.c
    led("Out of memory and no killable processes...", to: "System is deadlocked on memory"),
    alone("Out of memory: Killed process 12 (a)", panic: "Out of memory: compulsory panic_on_oom is enabled").withCause,
    // kernel/exit.c
    alone("init[1]: segfault at 0 ip 0 sp 0 error 14", panic: "Attempted to kill init! exitcode=0x0000000b"),
    led(
      "BUG: kernel NULL pointer dereference, address: 0000000000000000", "Oops: 0000 [#1] SMP",
      to: "Attempted to kill the idle task!"),
    // What says all itself
    alone(panic: "stack-protector: Kernel stack is corrupted in: foo+0x1/0x2"),
    alone(panic: "VFS: Unable to mount root fs on unknown-block(0,0)"),
    alone("sysrq: Trigger a crash", panic: "sysrq triggered crash"),
    alone("SysRq : Trigger a crash", panic: "sysrq triggered crash"),
    alone(panic: "No working init found.  Try passing init= option to kernel."),
    alone(panic: "Requested init /sbin/init failed (error -2)."),
    alone(panic: "corrupted stack end detected inside scheduler"),
    alone(panic: "Timeout: Not all CPUs entered broadcast exception handler"),
    alone(panic: "EXT4-fs (device vda1): panic forced after error"),
    // Without a panic
    Tail(lines: ["watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [a:1]"], cause: 0, panic: nil),
    Tail(lines: ["kernel BUG at mm/slub.c:448!", "invalid opcode: 0000 [#1] SMP PTI"], cause: 0, panic: nil),
  ]

  @Test func thereAreSixty() { #expect(PanicReasonTests.tails.count >= 60) }

  @Test(arguments: tails) func theReasonIsThatOfThisPanic(_ tail: Tail) throws {
    var ring = SyntheticRing(countBits: 8, sizeBits: 14)
    // A report of days before leads to nothing.
    ring.add("BUG: Bad page state in process foo  pfn:1234", at: 1_000_000_000)
    for (index, line) in tail.lines.enumerated() { ring.add(line, at: 900_000_000_000_000 + UInt64(index)) }
    ring.add("---[ end \(tail.panic.map { tail.lines[$0] } ?? "trace 0000") ]---", at: 900_000_000_001_000)
    let cause = tail.cause.map { tail.lines[$0] }
    let wanted = tail.panic.map { panic in cause.map { "\(tail.lines[panic]) (\($0))" } ?? tail.lines[panic] } ?? cause
    #expect(try ring.log().panicMessage == wanted.map { String($0.prefix(250)) })
  }

  /// Reports that end no machine.
  private static let unrelated = [
    ["BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 31s!", "Showing busy workqueues and worker pools:"],
    [
      "BUG: sleeping function called from invalid context at mm/x.c:1", "in_atomic(): 1, irqs_disabled(): 0, pid: 1, name: a",
      "preempt_count: 1, expected: 0",
    ], ["BUG: Bad page state in process foo  pfn:1234", "page:00000000abcdef01 refcount:0 mapcount:-128"],
    ["BUG: Bad rss-counter state mm:0000000012345678 type:MM_FILEPAGES val:1"],
    ["{1}[Hardware Error]: It has been corrected by h/w and requires no further action"],
  ]

  /// A log as machines leave it: who wrote each line, a stack below the report, lines of others between, seconds from
  /// the report to the panic, and 20 s before it, by the same CPU, a report that has nothing to do with it.
  @Test(arguments: tails) func theReasonIsThatOfThisPanicInALog(_ tail: Tail) throws {
    for unrelated in PanicReasonTests.unrelated {
      var ring = SyntheticRing(countBits: 9, sizeBits: 15)
      ring.machine.info.append("OFFSET(printk_info.caller_id)=20")
      func add(_ line: String, _ seconds: UInt64, by caller: UInt32 = 3) {
        let id = ring.add(line, at: 900_000_000_000_000 + seconds * 1_000_000_000)
        ring.machine.write(ring.info(id) + 20, u32: 1 << 31 | caller)
      }
      for line in unrelated { add(line, 0) }
      for line in ["Call Trace:", " <TASK>", " ? foo+0x1/0x2", " </TASK>"] { add(line, 0) }
      for (index, line) in tail.lines.enumerated() {
        if index == tail.panic {
          for line in [
            "Modules linked in: a(OE) b", "CPU: 3 PID: 1 Comm: a Not tainted 6.12.0 #1", "RIP: 0010:foo+0x1/0x2", "Call Trace:",
          ] { add(line, 21) }
          for number in 0..<30 { add(" bar\(number)+0x1/0x2", 22) }
          add("systemd[1]: a line of another", 22, by: 7)
          add("---[ end trace 0000000000000000 ]---", 23)
        }
        add(line, index == tail.panic ? 24 : 20)
        if index == 0 { add("eth0: link is up", 20, by: 5) }
      }
      let cause = tail.cause.map { tail.lines[$0] }
      let wanted = tail.panic.map { panic in cause.map { "\(tail.lines[panic]) (\($0))" } ?? tail.lines[panic] } ?? cause
      #expect(try ring.log().panicMessage == wanted.map { String($0.prefix(250)) })
    }
  }

  @Test func theMarkOfTheEndIsAReasonToo() throws {
    var ring = SyntheticRing(countBits: 5, sizeBits: 10)
    ring.add("---[ end Kernel panic - not syncing: Fatal exception ]---", at: 1)
    #expect(try ring.log().panicMessage == "Kernel panic - not syncing: Fatal exception")
    ring.add("---[ end Kernel panic - not syncing: Oops", at: 2)
    #expect(try ring.log().panicMessage == "Kernel panic - not syncing: Oops")
  }

  @Test func whatAProcessWroteIsNever() throws {
    var ring = SyntheticRing(countBits: 5, sizeBits: 12)
    ring.machine.info.append("OFFSET(printk_info.caller_id)=20")
    ring.add("Kernel panic - not syncing: sysrq triggered crash", at: 5)
    let user = ring.add("Kernel panic - not syncing: just kidding", at: 6)
    // LOG_USER, as devkmsg_write sets it; level 5 in the upper bits of the byte behind.
    ring.machine.write(ring.info(user) + 18, [1, 5 << 5])
    #expect(try ring.log().panicMessage == "Kernel panic - not syncing: sysrq triggered crash")
    let log = try ring.log()
    #expect(log.entries.map(\.facility) == [0, 1] && log.entries.map(\.level) == [0, 5])
    ring.add("test[99]: my log says Kernel panic - not syncing: just kidding", at: 7)
    #expect(try ring.log().panicMessage == "Kernel panic - not syncing: sysrq triggered crash")
  }

  @Test func aReportOfAnotherProcessorIsNotTheCause() throws {
    var ring = SyntheticRing(countBits: 5, sizeBits: 12)
    ring.machine.info.append("OFFSET(printk_info.caller_id)=20")
    let own = ring.add("divide error: 0000 [#1] SMP", at: 5)
    let other = ring.add("general protection fault: 0000 [#2] SMP", at: 6)
    let panic = ring.add("Kernel panic - not syncing: Fatal exception", at: 7)
    for (id, caller) in [(own, 1), (other, 2), (panic, 1)] as [(UInt64, UInt32)] {
      ring.machine.write(ring.info(id) + 20, u32: 1 << 31 | caller)
    }
    #expect(try ring.log().panicMessage == "Kernel panic - not syncing: Fatal exception (divide error: 0000 [#1] SMP)")
    #expect(try ring.log().entries.map(\.callerText) == ["C1", "C2", "C1"])
  }

  /// A watchdog of one CPU may report what another panics about.
  @Test(arguments: [(5, true), (11, false)])
  func aReportByAnotherThreadCountsWhenItIsVeryNear(seconds: UInt64, counts: Bool) throws {
    var ring = SyntheticRing(countBits: 5, sizeBits: 12)
    ring.machine.info.append("OFFSET(printk_info.caller_id)=20")
    let report = ring.add("INFO: task jbd2/vda1-8:147 blocked for more than 120 seconds.", at: 1_000_000_000)
    let panic = ring.add("Kernel panic - not syncing: hung_task: blocked tasks", at: seconds * 1_000_000_000)
    for (id, caller) in [(report, 1), (panic, 2)] as [(UInt64, UInt32)] {
      ring.machine.write(ring.info(id) + 20, u32: 1 << 31 | caller)
    }
    let cause = counts ? " (INFO: task jbd2/vda1-8:147 blocked for more than 120 seconds.)" : ""
    #expect(try ring.log().panicMessage == "Kernel panic - not syncing: hung_task: blocked tasks\(cause)")
  }
}

extension PanicReasonTests.Tail {
  /// The second line is the nearest cause.
  var second: Self { Self(lines: lines, cause: 1, panic: panic) }
  var withCause: Self { Self(lines: lines, cause: 0, panic: panic) }
}
