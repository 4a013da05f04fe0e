internal import DumpBasics

/// One task: a thread of a process, or of the kernel.
struct TaskInfo {
  var address: UInt64
  var pid: Int32 = 0
  var process: Int32 = 0
  var name = ""
  /// `R`, `S`, `D`, `I` … as ps prints them.
  var state: Character = "?"
  /// The kernel's own word for that.
  var stateBits: UInt64 = 0
  var isKernelThread = false
  var isOnCPU = false
  var cpu: Int?
  /// Address of its struct mm_struct; 0 for most threads of the kernel, and for what has ended.
  var mm: UInt64 = 0
  /// When it last began to run, in nanoseconds of the scheduler's clock.
  var lastRan: UInt64?

  var isLeader: Bool { pid == process }
  /// Whether the kernel's own watchdog counts it as hung once it waits for long: in state D, and not for
  /// something that a signal may end or that is no load (check_hung_uninterruptible_tasks,
  /// kernel/hung_task.c).
  var canHang: Bool { state == "D" && stateBits & 0x500 == 0 }
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
    let leaders = view.list(first &+ inside, inside: inside, limit: TaskList.limit, of: "tasks")
    let threadInside = view.offset("task_struct", "thread_node")
    let threadHead = view.offset("signal_struct", "thread_head")
    var seen: Set<UInt64> = []
    for leader in leaders {
      if view.isTimeUp || tasks.count >= TaskList.limit { break }
      add(leader)
      guard let threadInside, let threadHead, let signal = view.value(leader, "task_struct", "signal"), signal != 0,
        seen.insert(signal).inserted
      else { continue }
      let threads = view.list(
        signal &+ threadHead, inside: threadInside, limit: TaskList.limit - tasks.count,
        of: "threads of process \(self[leader].map { String($0.pid) } ?? hex(leader))")
      for thread in threads where thread != leader {
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
    if let state = value("__state") ?? value("state") {
      task.stateBits = state
      task.state = letter(state, value("exit_state") ?? 0)
    }
    // PF_KTHREAD (include/linux/sched.h). Such a thread may borrow the memory of a process.
    task.isKernelThread = value("flags").map { $0 & 0x20_0000 != 0 } ?? (task.mm == 0)
    return task
  }

  /// As the kernel itself tells it in /proc (__task_state_index and task_index_to_char,
  /// include/linux/sched.h).
  static func letter(_ state: UInt64, _ exit: UInt64) -> Character {
    // TASK_IDLE is both bits: TASK_UNINTERRUPTIBLE and TASK_NOLOAD.
    if state & 0x402 == 0x402 { return "I" }
    // TASK_RTLOCK_WAIT, TASK_FROZEN
    if state & 0x9000 != 0 { return "D" }
    // Of the bits that are reported the highest counts. Others (TASK_WAKING, TASK_NEW) are none.
    let bits = (state | exit) & 0x7f
    let letters: [Character] = ["R", "S", "D", "T", "t", "X", "Z", "P"]
    return letters[64 - bits.leadingZeroBitCount]
  }
}
