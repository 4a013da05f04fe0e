@testable import CrashedKernel
import DumpBasics
import Testing

@testable import KernelReport

/// Which kind of crash it was, and what tells one bug of it from another.
@Suite struct SignatureTests {
  @Test(arguments: [
    ("BUG: kernel NULL pointer dereference, address: 0", "null-pointer"),
    ("Kernel panic - not syncing: softlockup: hung tasks", "soft-lockup"),
    ("Kernel panic - not syncing: softlockup: hung tasks (watchdog: BUG: soft lockup - CPU#1 stuck for 22s!)", "soft-lockup"),
    ("Kernel panic - not syncing: Hard LOCKUP (watchdog: CPU3: Watchdog detected hard LOCKUP on cpu 4)", "hard-lockup"),
    ("Kernel panic - not syncing: hung_task: blocked tasks (INFO: task touch:152 blocked for more than 5 seconds.)", "hung-task"),
    ("Kernel panic - not syncing: sysrq triggered crash", "sysrq"), ("sysrq: Trigger a crash", "sysrq"),
    ("Kernel panic - not syncing: RCU Stall (rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:)", "rcu-stall"),
    (
      "Kernel panic - not syncing: Fatal exception (Oops: general protection fault, probably for non-canonical)",
      "general-protection"
    ),
    ("Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009", "init-killed"),
    ("Kernel panic - not syncing: NMI: Not continuing", "nmi"),
    ("Kernel panic - not syncing: Oops: Fatal exception (Unable to handle kernel NULL pointer dereference at 0)", "null-pointer"),
    ("Kernel panic - not syncing: System is deadlocked on memory (Out of memory: Killed process 1)", "out-of-memory"),
    // What merely speaks of such a thing is none.
    ("Kernel panic - not syncing: xfs: circular list xx", "panic"),
    ("Kernel panic - not syncing: VFS: Unable to mount root fs on NMI or hung_task (rcu in a name)", "panic"),
  ]) func aKindIsToldByHowATextBegins(_ reason: String, _ kind: String) {
    #expect(Signature.kind(reason) == kind)
  }

  @Test func withoutAReasonTheKindIsUnknown() { #expect(Signature.kind(nil) == "unknown") }

  @Test func withoutAFunctionThereIsNoSignature() {
    #expect(Signature(kind: "panic", functions: []) == nil)
    #expect(Signature(kind: "panic", functions: ["panic", "vpanic"]) == nil)
  }

  @Test func aDumpOfNoCrashHasNone() {
    let tiny = TinyKernel()
    // `crashing_cpu` of a kernel that did not panic.
    tiny.put(0x4208, u32: .max)
    let content = ReportContent(CrashedKernel(tiny)) { false }
    #expect(content.crashed == nil)
    #expect(content.signature == nil)
    #expect(contains(content.json.text(), "\"signature\": null"))
    // No CPU is another one than the one that panicked.
    #expect(content.lines.contains("The CPUs") && !content.lines.contains("The other CPUs"))
    #expect(!content.page(PageLog(nil), nil, tool: "t").contains("The other CPUs"))
  }

  @Test(
    arguments: [
      ("INFO: task touch:152 blocked for more than 5 seconds.", 152),
      ("INFO: task a: b:7:99 blocked for more than 120 seconds.", 99),
      ("INFO: task x:12 blocked in I/O wait for more than 122 seconds.", 12), ("hung_task: blocked tasks", nil),
      ("INFO: task x blocked for more than", nil),
    ] as [(String, Int32?)]) func theReasonNamesTheTaskThatHangs(_ reason: String, _ pid: Int32?)
  {
    #expect(Signature.hungPID(reason) == pid)
  }

  @Test func theCPUThatHangsIsNotTheOneThatSawIt() {
    #expect(Signature.lockedCPU("Hard LOCKUP (watchdog: CPU3: Watchdog detected hard LOCKUP on cpu 4)") == 4)
    #expect(Signature.lockedCPU("Hard LOCKUP") == nil)
  }

  /// Two tasks hang: the named one counts, else the one that the watchdog looks at and that waits the longest.
  @Test func aHungTaskIsTheOneThatTheKernelMeant() throws {
    let tiny = TinyKernel()
    // `first` waits the longest, and a signal may end its wait (TASK_KILLABLE).
    tiny.put(TinyKernel.tasks[2], u32: 0x102)
    tiny.put(TinyKernel.tasks[2] + 128, u64: 1_000_000_000)
    tiny.put(TinyKernel.stacks[2] + 56 + 16, u64: tiny.place(0x1615))
    func functions(_ reason: String) throws -> [String] {
      let kernel = CrashedKernel(tiny)
      let view = try #require(KernelView(kernel, isOver: { false }))
      var content = ReportContent(kernel) { false }
      content.reason = reason
      content.waiting = []
      content.addTasks(view, Processors(view), TaskList(view), Unwinder(view: view, places: CodePlaces(view)))
      return content.tellingFrames.compactMap(\.place.function)
    }
    #expect(try functions("hung_task: blocked tasks").first == "__mutex_lock.constprop.0")
    #expect(try functions("hung_task: blocked tasks (INFO: task first:102 blocked for more than 5 s").first == "sys_write")
  }

  /// A watchdog's timer panics: its own functions are the same for all bugs.
  @Test(arguments: ["softlockup: hung tasks", "RCU Stall", "Hard LOCKUP"]) func aLockupIsWhatTheTimerInterrupted(_ reason: String)
  {
    var content = ReportContent(CrashedKernel(TinyKernel())) { false }
    let registers = content.crashed?.trace.frames.first?.registers
    func frame(_ name: String, isInterrupted: Bool = false) -> Frame {
      Frame(place: CodePlace(address: TinyKernel.base, function: name), registers: isInterrupted ? registers : nil)
    }
    content.reason = "Kernel panic - not syncing: " + reason
    content.crashed?.trace.frames = [
      frame("__crash_kexec", isInterrupted: true), frame("panic"), frame("some_timer"), frame("asm_sysvec_something"),
      frame("busy_loop", isInterrupted: true), frame("its_caller"),
    ]
    #expect(content.tellingFrames.compactMap(\.place.function) == ["busy_loop", "its_caller"])
    // Where a kernel of arm64 says no registers.
    content.crashed?.trace.frames = [
      frame("__crash_kexec", isInterrupted: true), frame("some_timer"), frame("el1h_64_irq"), frame("busy_loop"),
    ]
    #expect(content.tellingFrames.compactMap(\.place.function) == ["busy_loop"])
    // Any other panic begins where it happened.
    content.reason = "Kernel panic - not syncing: something else"
    #expect(content.tellingFrames.count == 4)
  }

  // MARK: uptime

  @Test func theUptimeIsThatOfTheLastRecordWhateverItsLines() {
    let text = Array("[    1.000000] one\n[    2.500000] two\n               more of two\n".utf8)
    let plain = KernelLog(form: .raw, bytes: text, entries: [], records: 0, unfinished: 0, damaged: 0, findings: [])
    #expect(ReportContent.uptime(plain) == 2_500_000_000)
    let record = LogRecord(nanoseconds: 7_000_000_000, text: 0..<4)
    let records = KernelLog(form: .ring, bytes: text, entries: [record], records: 1, unfinished: 0, damaged: 0, findings: [])
    #expect(ReportContent.uptime(records) == 7_000_000_000)
    #expect(ReportContent.time("[x.y] text") == nil)
    var content = ReportContent(CrashedKernel(TinyKernel())) { false }
    content.uptime = 2_500_000_000
    #expect(contains(content.json.text(), "\"uptime_seconds\": 2.500000,"))
    #expect(content.lines.contains("  uptime        2.500000 s (the log's last line)"))
  }
}
