import CrashedKernel
import DumpBasics
import Testing

@testable import KernelReport

/// Tasks: their states, their memory, what they wait for.
@Suite struct TaskTests {
  private func content(_ kernel: TinyKernel) -> ReportContent { ReportContent(CrashedKernel(kernel)) { false } }

  /// include/linux/sched.h: __task_state_index.
  @Test(
    arguments: [
      (0, 0, "R"), (1, 0, "S"), (2, 0, "D"), (4, 0, "T"), (8, 0, "t"), (0x40, 0, "P"), (0x402, 0, "I"), (0x102, 0, "D"),
      (0x101, 0, "S"), (0x200, 0, "R"), (0x800, 0, "R"), (0x1000, 0, "D"), (0x8000, 0, "D"), (0x2001, 0, "S"), (0x80, 0x10, "X"),
      (0x80, 0x20, "Z"), (0x80, 0x30, "Z"), (0x108, 0, "t"),
    ] as [(UInt64, UInt64, Character)]) func statesAreTheKernels(_ state: UInt64, _ exit: UInt64, _ letter: Character)
  {
    #expect(TaskList.letter(state, exit) == letter)
  }

  @Test func aFrozenTaskIsOneThatWaits() {
    let tiny = TinyKernel()
    tiny.put(TinyKernel.tasks[3], u32: 0x8000)
    #expect(content(tiny).waitingCount == 2)
    tiny.put(TinyKernel.tasks[3], u32: 0x200)
    #expect(content(tiny).waitingCount == 1)
  }

  @Test func whoCouldRunIsNamedAtItsCPU() {
    let tiny = TinyKernel()
    tiny.put(TinyKernel.tasks[3], u32: 0)
    let content = content(tiny)
    #expect(content.running.map { $0.waiting.map(\.name) } == [["second"]])
    #expect(content.lines.contains("  CPU 0         victim (PID 101), 1 runnable: second (PID 103)"))
  }

  @Test func aThreadOfTheKernelIsOneByItsFlag() throws {
    let tiny = TinyKernel()
    let view = try #require(KernelView(CrashedKernel(tiny), isOver: { false }))
    // None of them has a memory: `victim` has ended.
    #expect(TaskList(view).tasks.map(\.isKernelThread) == [true, false, false, false])
    // It borrows one.
    tiny.put(TinyKernel.tasks[0] + 56, u64: tiny.place(0xe000))
    let later = try #require(KernelView(CrashedKernel(tiny), isOver: { false }))
    #expect(TaskList(later).tasks[0].isKernelThread)
    #expect(try KernelQueries(CrashedKernel(tiny)).tasks(json: false).contains("[swapper/0]"))
  }

  @Test func columnsOfPSAreApartWhateverThePID() throws {
    let tiny = TinyKernel()
    tiny.put(TinyKernel.tasks[2] + 8, u32: 4_194_303)
    tiny.put(TinyKernel.tasks[2] + 12, u32: 4_194_303)
    let lines = try KernelQueries(CrashedKernel(tiny)).tasks(json: false).split(separator: "\n")
    let address = hex(TinyKernel.base + TinyKernel.tasks[2])
    #expect(
      lines.first { $0.contains("first") }?.split(separator: " ") == [
        "4194303", "4194303", "0", "D", Substring(address), "first",
      ])
    #expect(Set(lines.map { $0.prefix { $0 != "x" }.count }).count <= 2)
  }

  /// Counters of a memory before 6.2: what each thread holds back counts too, and a memory counts once.
  @Test func theMemoryOfAProcessIsThatOfAllItsThreads() throws {
    let tiny = TinyKernel()
    let memory: UInt64 = 0xe000
    // `first` leads, and has ended; `second` is its thread.
    tiny.put(TinyKernel.tasks[3] + 12, u32: 102)
    tiny.put(TinyKernel.tasks[3] + 56, u64: tiny.place(memory))
    for (index, pages) in [10, 20, 5, 1].enumerated() { tiny.put(memory + 8 + UInt64(8 * index), u64: UInt64(pages)) }
    tiny.put(memory + 40, u64: 0x3000)
    // events, then file, anonymous, swap, shmem
    for (index, pages) in [64, 3, -1, 2, 0].enumerated() {
      tiny.put(TinyKernel.tasks[3] + 148 + UInt64(4 * index), u32: UInt32(bitPattern: Int32(pages)))
    }
    let processes = try #require(content(tiny).memory?.processes)
    #expect(processes.map(\.task.name) == ["second"])
    // 10 + 3 of files, 20 - 1 anonymous, 1 of shmem; 5 + 2 in swap.
    let resident: UInt64 = 33 * 4096
    let swapped: UInt64 = 7 * 4096
    #expect(processes.first?.bytes == resident)
    #expect(processes.first?.swapped == swapped)
    #expect(processes.first?.tables == 0x3000)
    #expect(processes.first?.text == "132.0 KiB, 28.0 KiB in swap, 12.0 KiB of page tables")
    // Both.
    tiny.put(TinyKernel.tasks[2] + 56, u64: tiny.place(memory))
    tiny.put(TinyKernel.tasks[2] + 152, u32: 4)
    let both = try #require(content(tiny).memory?.processes)
    #expect(both.map(\.task.name) == ["first"])
    #expect(both.first?.bytes == resident + 4 * 4096)
  }

  @Test func pagesHaveTheSizeOfThisKernel() throws {
    let content = content(TinyKernel(.arm64, pageSize: 16384))
    #expect(content.memory?.pageBytes == 16384)
    #expect(content.pages(64) == "1.0 MiB")
    #expect(contains(content.json.text(), "\"page_bytes\": 16384,"))
    #expect(self.content(TinyKernel()).pages(64) == "256.0 KiB")
  }

  // MARK: locks

  /// A leg of the circle that a signal could end is a leg.
  @Test func aHolderThatWaitsItselfLeadsOnWhateverItsState() {
    let tiny = TinyKernel()
    tiny.put(TinyKernel.tasks[3], u32: 1)
    let content = content(tiny)
    #expect(content.waiting.map(\.task.name) == ["first"])
    #expect(content.holders.map(\.task.name) == ["second"])
    #expect(content.holders.first?.wait?.kind == .mutex)
    #expect(content.chains.first?.isCycle == true)
    #expect(content.lines.contains("  DEADLOCK: first (PID 102) waits for second (PID 103) waits for first (PID 102)"))
  }

  private func wait(_ tiny: TinyKernel, _ functions: [String]) throws -> Wait {
    let view = try #require(KernelView(CrashedKernel(tiny), isOver: { false }))
    let tasks = TaskList(view)
    var trace = StackTrace()
    for (index, name) in functions.enumerated() {
      trace.frames.append(
        Frame(
          place: CodePlace(address: TinyKernel.base, function: name),
          stackPointer: TinyKernel.base + TinyKernel.stacks[2] + UInt64(0x40 * index)))
    }
    return WaitFinder(view: view, tasks: tasks).wait(of: tasks.tasks[2], trace)
  }

  @Test func aLockThatReadersHoldSaysSo() throws {
    let tiny = TinyKernel()
    let lock: UInt64 = 0xd100
    tiny.put(TinyKernel.stacks[2] + 32, u64: tiny.place(lock))
    // Three readers, RWSEM_FLAG_WAITERS; the last that came, RWSEM_READER_OWNED.
    tiny.put(lock, u64: 3 << 8 | 2)
    tiny.put(lock + 8, u64: tiny.place(TinyKernel.tasks[3]) | 1)
    let stack = ["__schedule", "schedule", "rwsem_down_write_slowpath", "my_writer"]
    let read = try wait(tiny, stack)
    #expect(read.kind == .rwsem && read.lock == TinyKernel.base + lock && read.holder == nil)
    #expect(read.readers == 3)
    #expect(read.lastReader == TinyKernel.base + TinyKernel.tasks[3])
    var entry = ReportContent.TaskStack(task: TaskInfo(address: 0), trace: StackTrace(), wait: read)
    entry.lastReader = TaskInfo(address: 0, pid: 103, name: "second")
    #expect(
      content(tiny).waitText(entry)
        == "waits for rwsem \(hex(TinyKernel.base + lock)) in my_writer, held by 3 readers, the last that took it: second (PID 103)"
    )
    // A writer.
    tiny.put(lock, u64: 3)
    tiny.put(lock + 8, u64: tiny.place(TinyKernel.tasks[3]))
    let written = try wait(tiny, stack)
    #expect(written.readers == nil && written.holder == TinyKernel.base + TinyKernel.tasks[3])
  }

  @Test(arguments: [
    (["__schedule", "schedule", "io_schedule", "__wait_for_common", "blk_execute_rq"], Wait.Kind.io, "blk_execute_rq"),
    (
      ["__schedule", "schedule", "schedule_timeout", "__wait_for_common", "wait_for_completion", "kthread_stop"], .other,
      "kthread_stop"
    ),
    (["__schedule", "schedule", "percpu_rwsem_wait", "__percpu_down_read", "mnt_want_write"], .rwsem, "mnt_want_write"),
    (
      ["__schedule", "schedule", "bit_wait_io", "__wait_on_bit", "out_of_line_wait_on_bit", "__sync_dirty_buffer"], .other,
      "__sync_dirty_buffer"
    ),
    (["__schedule", "schedule", "do_nanosleep"], .other, "do_nanosleep"),
  ]) func theFunctionThatTellsIsNamed(_ functions: [String], _ kind: Wait.Kind, _ function: String) throws {
    let found = try wait(TinyKernel(), functions)
    #expect(found.kind == kind && found.function == function)
  }
}
