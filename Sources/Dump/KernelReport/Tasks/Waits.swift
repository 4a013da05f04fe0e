internal import DumpBasics

/// What a task that does not go on waits for.
struct Wait {
  enum Kind: String { case mutex, rwsem, semaphore, io = "I/O", other = "event" }

  var kind: Kind
  /// Where the lock lies; nil: not found.
  var lock: UInt64?
  /// The task that holds it.
  var holder: UInt64?
  /// How many hold it for reading, where that is so.
  var readers: UInt64?
  /// The one of them that took it last; it may have let it go since.
  var lastReader: UInt64?
  /// The function that had to wait: `ext4_wait_block`, say.
  var function: String?
}

/// Finds out who waits for whom.
struct WaitFinder {
  let view: KernelView
  let tasks: TaskList

  /// Functions between what wants something and the scheduler.
  private static let machinery: Set<String> = [
    "__schedule", "schedule", "schedule_timeout", "io_schedule", "io_schedule_timeout", "schedule_preempt_disabled",
    "schedule_hrtimeout_range", "schedule_hrtimeout_range_clock", "__switch_to_asm", "__switch_to", "preempt_schedule_common",
    "context_switch", "schedule_rtlock", "rt_mutex_schedule",
  ]

  /// Functions that wait for whoever calls them: they tell no more.
  private static let waiters: Set<String> = [
    // kernel/sched/completion.c, wait.c, wait_bit.c, kernel/locking/percpu-rwsem.c, mm/filemap.c
    "do_wait_for_common", "__wait_for_common", "wait_for_common", "wait_for_common_io", "wait_for_completion",
    "wait_for_completion_io", "wait_for_completion_io_timeout", "wait_for_completion_timeout", "wait_for_completion_state",
    "wait_for_completion_killable", "wait_for_completion_interruptible", "__wait_on_bit", "__wait_on_bit_lock",
    "out_of_line_wait_on_bit", "out_of_line_wait_on_bit_lock", "bit_wait", "bit_wait_io", "bit_wait_timeout",
    "bit_wait_io_timeout", "percpu_rwsem_wait", "wait_woken", "folio_wait_bit_common", "wait_on_page_bit_common",
    "folio_wait_bit", "wait_on_page_bit",
  ]

  static func isScheduler(_ function: String?) -> Bool { function.map { machinery.contains(normalisedFunction($0)) } ?? false }

  func wait(of task: TaskInfo, _ trace: StackTrace) -> Wait {
    var kind = Wait.Kind.other
    var outermost = 0
    var function: String?
    for (index, frame) in trace.frames.prefix(24).enumerated() {
      guard let name = frame.place.function.map({ normalisedFunction($0) }) else { continue }
      if let found = WaitFinder.kind(name) {
        // A semaphore of PREEMPT_RT waits by a mutex of its own.
        if kind == .other || kind == .io || found == kind || WaitFinder.isRealTimeSemaphore(name) { kind = found }
        outermost = index
      } else if name == "io_schedule" || name == "io_schedule_timeout", kind == .other {
        kind = .io
      } else if function == nil || outermost > 0, !WaitFinder.machinery.contains(name),
        !WaitFinder.waiters.contains(name)
      {
        function = name
        if outermost > 0 { break }
        if kind == .other || kind == .io, index > 12 { break }
      }
    }
    var wait = Wait(kind: kind, lock: nil, holder: nil, function: function)
    if kind == .mutex || kind == .rwsem { find(&wait, task, trace, outermost) }
    return wait
  }

  /// kernel/locking/rwbase_rt.c
  private static func isRealTimeSemaphore(_ function: String) -> Bool { function.utf8.starts(with: "rwbase_".utf8) }

  private static func kind(_ function: String) -> Wait.Kind? {
    let mutex = ["__mutex_lock", "mutex_lock", "ww_mutex_lock", "__ww_mutex_lock", "rt_mutex_slowlock", "__rt_mutex_slowlock"]
    if mutex.contains(where: { function.utf8.starts(with: $0.utf8) }) { return .mutex }
    let semaphore = [
      "rwsem_down_", "down_write", "down_read", "__down_write", "__down_read", "percpu_down_write", "percpu_rwsem_wait",
      "__percpu_down_read",
    ]
    if semaphore.contains(where: { function.utf8.starts(with: $0.utf8) }) || isRealTimeSemaphore(function) { return .rwsem }
    if function == "down" || function == "__down" || function == "__down_common" || function == "___down_common" {
      return .semaphore
    }
    return nil
  }

  /// The lock is what the kernel says itself (task_struct.blocker, since 6.16), or a word on the stack, from
  /// where the task waits to the frame that wanted the lock, that leads to a lock with a waiter and a known
  /// owner.
  private func find(_ wait: inout Wait, _ task: TaskInfo, _ trace: StackTrace, _ outermost: Int) {
    // A real-time mutex: in the kernels of PREEMPT_RT all are such.
    if let waiter = view.value(task.address, "task_struct", "pi_blocked_on"), waiter != 0,
      let lock = view.value(waiter, "rt_mutex_waiter", "lock"),
      let owner = view.value(lock, "rt_mutex_base", "owner").map({ $0 & ~1 }), tasks.places[owner] != nil
    {
      wait.lock = lock
      wait.holder = owner
      return
    }
    if let blocker = view.value(task.address, "task_struct", "blocker"), blocker & ~7 != 0,
      hold(&wait, blocker & ~7, isSure: true)
    {
      return
    }
    guard let first = trace.frames.first else { return }
    let last = trace.frames[min(outermost + 2, trace.frames.count - 1)]
    let start = first.stackPointer & ~7
    let end = last.stackPointer
    guard end > start, end - start <= 16 << 10 else { return }
    for place in stride(from: start, to: end, by: 8) {
      guard let word = view.u64(place), word & 7 == 0, isKernelAddress(word),
        // What lies on the waiter's own stack is no lock but its entry in the queue.
        word &- (start & ~0x7fff) >= 0x8000
      else { continue }
      if hold(&wait, word) { return }
    }
  }

  /// Whether there is a lock with waiters at `address`, held by a task; then that is noted. `isSure`: the
  /// kernel says that there is one.
  private func hold(_ wait: inout Wait, _ address: UInt64, isSure: Bool = false) -> Bool {
    let structure = wait.kind == .mutex ? "mutex" : "rw_semaphore"
    guard let word = view.value(address, structure, "owner.counter") ?? view.value(address, structure, "owner") else {
      return false
    }
    let owner = word & ~7
    let isReaders = wait.kind == .rwsem && word & 1 == 1
    guard tasks.places[owner] != nil || isReaders && isSure else { return false }
    if wait.kind == .mutex {
      // MUTEX_FLAG_WAITERS (kernel/locking/mutex.h).
      if word & 1 == 0 { return false }
      wait.holder = owner
    } else {
      // RWSEM_FLAG_WAITERS and RWSEM_WRITER_LOCKED (kernel/locking/rwsem.c).
      guard let count = view.value(address, structure, "count.counter") ?? view.value(address, structure, "count"), count & 2 != 0
      else { return false }
      // Readers leave the last of them behind as owner: a hint, and it may be gone. Their number stands from
      // bit 8 on; bit 63 says that there were too many.
      if word & 1 == 0, count & 1 == 1 { wait.holder = owner }
      if isReaders, count & 1 == 0, count >> 63 == 0, count >> 8 > 0 {
        wait.readers = count >> 8
        if tasks.places[owner] != nil { wait.lastReader = owner }
      }
    }
    wait.lock = address
    return true
  }

  /// From a task along the holders: ends at one that does not wait, or where it comes back to one that was
  /// there.
  func chain(from task: UInt64, _ waits: [UInt64: Wait]) -> (tasks: [UInt64], isCycle: Bool) {
    var chain = [task]
    while let holder = waits[chain[chain.count - 1]]?.holder, chain.count < 64 {
      if let start = chain.firstIndex(of: holder) { return (Array(chain[start...]), true) }
      chain.append(holder)
    }
    return (chain, false)
  }
}
