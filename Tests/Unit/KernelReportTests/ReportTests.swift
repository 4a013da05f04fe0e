import CrashedKernel
import DumpBasics
import Testing

@testable import KernelReport

/// The whole way, over a small kernel that was made for it.
@Suite struct ReportTests {
  private func content(_ kernel: TinyKernel, isOver: @escaping () -> Bool = { false }) -> ReportContent {
    ReportContent(CrashedKernel(kernel), isOver: isOver)
  }

  @Test(arguments: [0x005, 0x205, 0x203] as [UInt16]) func theStackOfThePanicGoesToUserSpace(_ form: UInt16) {
    let content = content(TinyKernel(orc: form))
    let trace = content.crashed?.trace
    #expect(
      trace?.frames.map(\.place.text) == [
        "__crash_kexec+0x20/0x200", "_stext+0x15/0x200", "crash_me.isra.0+0x15/0x200", "sys_write+0x15/0x200", "entry+0x15/0x200",
      ])
    #expect(trace?.isWhole == true)
    #expect(trace?.reachedUser == true)
    #expect(trace?.frames.allSatisfy(\.isReliable) == true)
    #expect(content.crashed?.task?.name == "victim")
    #expect(content.signature?.frames == ["_stext", "crash_me", "sys_write"])
  }

  @Test func factsOfTheKernelAreThere() {
    let content = content(TinyKernel())
    #expect(content.release == "6.1.0-tiny")
    #expect(content.version == "#1 SMP")
    #expect(content.node == "tinyhost")
    #expect(content.taint == ["D: kernel died before (oops or BUG)"])
    // No control character of a dump gets out.
    #expect(content.commandLine == "root=/dev/vda?[31m quiet")
    #expect(content.taskCount == 4)
  }

  @Test func twoTasksThatWaitForEachOtherAreADeadlock() {
    let content = content(TinyKernel())
    #expect(content.waiting.map(\.task.name) == ["first", "second"])
    #expect(
      content.waiting.map { $0.trace.frames.map { normalisedFunction($0.place.function ?? "?") } }
        == [
          ["__schedule", "__mutex_lock", "worker", "ret_from_fork"], ["__schedule", "__mutex_lock", "worker", "ret_from_fork"],
        ])
    #expect(content.waiting.map(\.wait?.kind) == [.mutex, .mutex])
    #expect(
      content.waiting.map(\.wait?.lock) == [TinyKernel.base + TinyKernel.mutexes[1], TinyKernel.base + TinyKernel.mutexes[0]])
    #expect(content.waiting.map(\.wait?.function) == ["worker", "worker"])
    #expect(content.waiting.map(\.holder?.name) == ["second", "first"])
    #expect(content.holders.isEmpty)
    #expect(content.waiting.first?.waited == 60_000_000_000)
    #expect(content.chains.count == 1)
    #expect(content.chains.first?.isCycle == true)
    #expect(content.chains.first?.tasks.map(\.name) == ["first", "second"])
    #expect(CrashReport(CrashedKernel(TinyKernel())).text.utf8.count > 500)
    #expect(content.lines.contains("  DEADLOCK: first (PID 102) waits for second (PID 103) waits for first (PID 102)"))
  }

  @Test func whoHoldsALockAndSleepsForAnotherReasonIsShownWithItsStack() {
    let tiny = TinyKernel()
    // The second one sleeps (S), called from elsewhere.
    tiny.put(TinyKernel.tasks[3], u32: 1)
    tiny.put(TinyKernel.stacks[3] + 56 + 16, u64: tiny.place(0x1615))
    let content = content(tiny)
    #expect(content.waiting.map(\.task.name) == ["first"])
    #expect(content.holders.map(\.task.name) == ["second"])
    #expect(content.chains.map { $0.tasks.map(\.name) } == [["first", "second"]])
    #expect(content.holders.first?.trace.frames.count == 4)
  }

  @Test func aMutexThatNobodyWaitsForIsNotTheOne() {
    let tiny = TinyKernel()
    // Without MUTEX_FLAG_WAITERS the word on the stack is some other structure.
    tiny.put(TinyKernel.mutexes[1], u64: tiny.place(TinyKernel.tasks[3]))
    let content = content(tiny)
    #expect(content.waiting.first?.wait?.lock == nil)
    #expect(content.chains.count == 1)
    #expect(content.chains.first?.isCycle == false)
  }

  @Test func withoutUnwindTablesAStackIsScanned() {
    let tiny = TinyKernel()
    tiny.put(0x5100, [UInt8](repeating: 0xff, count: 60))
    let content = content(tiny)
    let frames = content.crashed?.trace.frames ?? []
    #expect(frames.first?.isReliable == true)
    #expect(
      frames.dropFirst().map { $0.place.function ?? "?" }.starts(with: ["_stext", "crash_me.isra.0", "sys_write", "entry"]))
    #expect(content.notes.contains { contains($0, "no unwind tables") })
  }

  @Test func withoutTypesThereAreStillNamesAndStacks() {
    let tiny = TinyKernel()
    tiny.put(0x10000, [0, 0])
    let content = content(tiny)
    #expect(content.crashed?.trace.frames.count == 5)
    #expect(content.taskCount == 0)
    #expect(content.notes.contains { contains($0, "no types") })
  }

  @Test func aListThatGoesInCirclesEnds() {
    let tiny = TinyKernel()
    tiny.put(TinyKernel.tasks[3] + 32, u64: tiny.place(TinyKernel.tasks[1] + 32))
    #expect(content(tiny).taskCount == 4)
    #expect(content(tiny).notes.contains { contains($0, "the list of tasks is broken at") })
  }

  @Test func noMoreStacksAreKeptThanAsked() {
    let content = ReportContent(CrashedKernel(TinyKernel()), stackLimit: 1) { false }
    #expect(content.waiting.count == 1)
    #expect(content.waitingCount == 2)
    #expect(content.crashed != nil)
    #expect(content.lines.contains("  … and 1 more (--json has 1)"))
  }

  @Test func whenTheTimeIsUpTheReportSaysSo() {
    var asked = 0
    let content = content(TinyKernel()) {
      asked += 1
      return asked > 1
    }
    #expect(content.notes.contains { contains($0, "time") })
    #expect(content.release == "6.1.0-tiny")
  }

  @Test func signaturesLeaveOutTheMachineryAndWhatCompilersAdd() {
    let one = Signature(kind: "null-pointer", functions: ["machine_kexec", "panic", "oops_end", "my_bug.isra.0", "my_caller"])
    let other = Signature(
      kind: "null-pointer", functions: ["__crash_kexec", "vpanic", "panic", "my_bug.cold", "my_caller.part.0"])
    #expect(one == other)
    #expect(one?.frames == ["my_bug", "my_caller"])
    #expect(one?.hash != Signature(kind: "bug", functions: ["my_bug", "my_caller"])?.hash)
    #expect(one?.hash.utf8.count == 16)
  }

  /// Whatever becomes of names, types, unwind tables, tasks and stacks: a report comes out, soon.
  @Test(.timeLimit(.minutes(3))) func damageNeitherTrapsNorHangs() {
    let nasty: [UInt64] = [
      0, 1, 0x7f, 0xff, 0x7fff_ffff, 0xffff_ffff, 1 << 63, .max, .max - 7, TinyKernel.base, TinyKernel.base + 0x3fff8,
    ]
    let places: [Range<Int>] = [
      0x10000..<0x10800, 0x5000..<0x5140, 0x6000..<0x6300, 0x7000..<0x7c00, 0x8000..<0x9000, 0xc000..<0xc040, 0x20000..<0x20100,
      0x28000..<0x28100, 0x4000..<0x4300,
    ]
    var random = FixedRandom(state: 23)
    let sound = TinyKernel().image
    let tiny = TinyKernel()
    var withTasks = 0
    for _ in 0..<3000 {
      tiny.image = sound
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        let at = Int.random(in: places.randomElement(using: &random)!, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: tiny.image[at] = UInt8.random(in: .min ... .max, using: &random)
        case 1: tiny.put(UInt64(at & ~7), u64: nasty.randomElement(using: &random)!)
        default: tiny.put(UInt64(at & ~7), u64: random.next())
        }
      }
      let content = content(tiny)
      if content.taskCount == 4 { withTasks += 1 }
      #expect(content.lines.count < 3000)
      #expect(content.lines.allSatisfy { $0.utf8.allSatisfy { $0 >= 0x20 } })
      #expect(content.release == "6.1.0-tiny")
    }
    // Damage costs what it hits, not all.
    #expect(withTasks > 1000)
  }
}
