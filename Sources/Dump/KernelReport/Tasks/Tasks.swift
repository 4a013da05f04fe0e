internal import DumpBasics

/// One task: a thread of a process, or of the kernel.
struct TaskInfo {
  var address: UInt64
  var pid: Int32 = 0
  var process: Int32 = 0
  var name = ""
  /// `R`, `S`, `D`, `I` … as ps prints them.
  var state: Character = "?"
  var isOnCPU = false
  var cpu: Int?
  /// Address of its struct mm_struct; 0 for threads of the kernel.
  var mm: UInt64 = 0
  /// When it last began to run, in nanoseconds of the scheduler's clock.
  var lastRan: UInt64?

  var isLeader: Bool { pid == process }
}

/// All tasks of the crashed kernel, read from its lists.
struct TaskList {
  private(set) var tasks: [TaskInfo] = []
  /// Address → place in `tasks`.
  private(set) var places: [UInt64: Int] = [:]
  private let view: KernelView

  /// A machine with more tasks than this gets a report of these.
  static let limit = 1 << 16

  init(_ view: KernelView) {
    self.view = view
    guard let first = view.symbol("init_task"), view.types != nil else {
      view.note("no tasks: that takes the symbol init_task and the kernel's types")
      return
    }
    add(first)
    for cpu in 0..<Processors.count(view) {
      if let queue = view.perCPU("runqueues", cpu), let idle = view.value(queue, "rq", "idle") { add(idle) }
    }
    guard let inside = view.offset("task_struct", "tasks") else {
      view.note("no list of tasks: task_struct.tasks is not known")
      return
    }
    let leaders = view.list(first &+ inside, inside: inside, limit: TaskList.limit)
    let threadInside = view.offset("task_struct", "thread_node")
    let threadHead = view.offset("signal_struct", "thread_head")
    for leader in leaders {
      if view.isTimeUp || tasks.count >= TaskList.limit { break }
      add(leader)
      guard let threadInside, let threadHead, let signal = view.value(leader, "task_struct", "signal"), signal != 0 else {
        continue
      }
      for thread in view.list(signal &+ threadHead, inside: threadInside, limit: TaskList.limit - tasks.count)
      where thread != leader {
        if view.isTimeUp { break }
        add(thread)
      }
    }
    if tasks.count >= TaskList.limit { view.note("only \(TaskList.limit) tasks are looked at") }
  }

  private mutating func add(_ address: UInt64) {
    guard isKernelAddress(address), places[address] == nil, tasks.count < TaskList.limit, let task = TaskList.read(address, view)
    else { return }
    places[address] = tasks.count
    tasks.append(task)
  }

  subscript(_ address: UInt64) -> TaskInfo? { places[address].map { tasks[$0] } }

  private static func read(_ address: UInt64, _ view: KernelView) -> TaskInfo? {
    func value(_ path: String) -> UInt64? { view.value(address, "task_struct", path) }
    guard let pid = value("pid") else { return nil }
    var task = TaskInfo(address: address)
    task.pid = Int32(truncatingIfNeeded: pid)
    task.process = Int32(truncatingIfNeeded: value("tgid") ?? pid)
    task.name = view.offset("task_struct", "comm").flatMap { view.text(address &+ $0, limit: 16) } ?? "?"
    task.isOnCPU = value("on_cpu") ?? 0 != 0
    task.cpu = (value("thread_info.cpu") ?? value("cpu")).flatMap { $0 < UInt64(Processors.limit) ? Int($0) : nil }
    task.mm = value("mm") ?? 0
    task.lastRan = value("sched_info.last_arrival").flatMap { $0 == 0 ? nil : $0 }
    // __state since 5.14.
    if let state = value("__state") ?? value("state") { task.state = letter(state, value("exit_state") ?? 0) }
    return task
  }

  /// include/linux/sched.h: the bits of a task's state.
  static func letter(_ state: UInt64, _ exit: UInt64) -> Character {
    if exit & 0x20 != 0 { return "Z" }
    if exit & 0x10 != 0 { return "X" }
    if state & 0x402 == 0x402 { return "I" }
    for (bit, letter) in [(UInt64(2), Character("D")), (1, "S"), (4, "T"), (8, "t"), (0x40, "P"), (0x80, "X")]
    where state & bit != 0 {
      return letter
    }
    return state == 0 ? "R" : "?"
  }
}

/// The CPUs of the crashed machine, and what each was running.
struct Processors {
  static let limit = 8192

  struct Processor {
    var number: Int
    /// The task that it ran.
    var task: UInt64?
    var registers: RegisterSet?
    /// Runnable tasks, the running one included.
    var running: UInt64?
    /// Its scheduler's clock, in nanoseconds.
    var clock: UInt64?
  }

  let all: [Processor]
  /// The one that panicked.
  let crashed: Int?

  static func count(_ view: KernelView) -> Int {
    guard let place = view.symbol("nr_cpu_ids"), let count = view.u32(place), (1...UInt32(limit)).contains(count) else {
      return min(limit, max(1, view.kernel.cpuCount))
    }
    return Int(count)
  }

  init(_ view: KernelView) {
    let start = Architecture.prstatusRegistersOffset
    let architecture = view.memory.architecture
    let notes = view.kernel.source.notes.filter(\.isProcessorStatus)
    let mask = view.symbol("__cpu_online_mask")
    var online: [Int] = []
    for cpu in 0..<Processors.count(view) {
      let word = mask.flatMap { view.u64($0 &+ UInt64(cpu / 64 * 8)) }
      if word.map({ $0 >> UInt64(cpu % 64) & 1 == 1 }) ?? (cpu < notes.count) { online.append(cpu) }
    }
    // One note for each CPU that is online, in order. A CPU that hung left none and shifts the others: then
    // what each CPU itself wrote is asked.
    var all: [Processor] = []
    let table = view.symbol("crash_notes").flatMap { view.u64($0) }
    let offsets = view.symbol("__per_cpu_offset")
    for (index, cpu) in online.enumerated() {
      var processor = Processor(number: cpu)
      if let table, let offsets, let offset = view.u64(offsets &+ UInt64(cpu) &* 8),
        let bytes = view.bytes(table &+ offset, 20 + start + RegisterSet.size(architecture)),
        ByteReader(bytes, .little).text(12, limit: 5) == "CORE"
      {
        processor.registers = RegisterSet(bytes, at: 20 + start, architecture)
      } else if online.count == notes.count {
        processor.registers = RegisterSet(notes[index].descriptor, at: start, architecture)
      }
      if let queue = view.perCPU("runqueues", cpu) {
        processor.task = view.value(queue, "rq", "curr")
        processor.running = view.value(queue, "rq", "nr_running")
        processor.clock = view.value(queue, "rq", "clock")
      }
      all.append(processor)
    }
    self.all = all
    crashed =
      ["crashing_cpu", "panic_cpu"].lazy.compactMap { name in
        view.symbol(name).flatMap { view.u32($0) }.flatMap { $0 < UInt32(Processors.limit) ? Int($0) : nil }
      }.first ?? (all.count == 1 ? all.first?.number : nil)
  }

  /// The latest of the schedulers' clocks: when the machine stopped.
  var clock: UInt64? { all.compactMap(\.clock).max() }
}
