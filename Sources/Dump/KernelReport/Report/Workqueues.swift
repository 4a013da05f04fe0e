internal import DumpBasics

/// Pools of workers that have work and make no progress, as the kernel's own watchdog looks for them
/// (wq_watchdog, kernel/workqueue.c).
struct Workqueues {
  struct Pool {
    var number: Int64
    /// Nil: its workers run on any CPU.
    var cpu: Int64?
    var workers: UInt64
    var idle: UInt64
    /// Work that nobody has begun; at most `pendingLimit`.
    var pending: Int
    /// Functions of the first of it.
    var functions: [String]
    /// What its workers are at: the task and the function.
    var running: [(task: TaskInfo?, function: String)]
    /// Nanoseconds since it took up work last; nil where the kernel's ticks are not understood.
    var idleFor: UInt64?

    /// The kernel warns after 30 s; here a person should look earlier.
    var standsStill: Bool { idleFor.map { $0 >= 10_000_000_000 } ?? false }
  }

  /// Pools with work that nobody has begun; those that have waited longest first.
  private(set) var pools: [Pool] = []

  private static let queueLimit = 8192
  private static let poolLimit = 4096
  private static let shownLimit = 64
  private static let pendingLimit = 1000
  private static let functionLimit = 6

  private let view: KernelView
  private let places: CodePlaces
  private let tasks: TaskList

  init(_ view: KernelView, _ places: CodePlaces, _ tasks: TaskList, now: UInt64?) {
    self.view = view
    self.places = places
    self.tasks = tasks
    guard let head = view.symbol("workqueues", for: "workqueues"), let inside = view.offset("workqueue_struct", "list"),
      let queues = view.offset("workqueue_struct", "pwqs"), let link = view.offset("pool_workqueue", "pwqs_node"),
      let list = view.offset("worker_pool", "worklist")
    else { return }
    let ticks = Ticks(view, now: now)
    var known: Set<UInt64> = []
    for queue in view.list(head, inside: inside, limit: Workqueues.queueLimit, of: "workqueues") {
      for member in view.list(queue &+ queues, inside: link, limit: Workqueues.poolLimit, of: "pools of a workqueue") {
        if view.isTimeUp || known.count == Workqueues.poolLimit { break }
        guard let pool = view.value(member, "pool_workqueue", "pool"), isKernelAddress(pool), known.insert(pool).inserted,
          let first = view.u64(pool &+ list), first != pool &+ list, let described = described(pool, list, ticks)
        else { continue }
        pools.append(described)
      }
    }
    pools = Array(pools.sorted { $0.idleFor ?? 0 > $1.idleFor ?? 0 }.prefix(Workqueues.shownLimit))
  }

  private func described(_ pool: UInt64, _ list: UInt64, _ ticks: Ticks?) -> Pool? {
    guard let entry = view.offset("work_struct", "entry"), let workers = view.value(pool, "worker_pool", "nr_workers"),
      let idle = view.value(pool, "worker_pool", "nr_idle"), let cpu = view.value(pool, "worker_pool", "cpu")
    else { return nil }
    let pending = view.list(pool &+ list, inside: entry, limit: Workqueues.pendingLimit, of: "pending work")
    let functions = pending.prefix(Workqueues.functionLimit).map {
      places.name(ofFunction: view.value($0, "work_struct", "func"))
    }
    // `watchdog_ts` up to 7.1.
    let stamp = view.value(pool, "worker_pool", "last_progress_ts") ?? view.value(pool, "worker_pool", "watchdog_ts")
    // -1: of no CPU.
    let number = Int64(Int32(truncatingIfNeeded: cpu))
    return Pool(
      number: Int64(Int32(truncatingIfNeeded: view.value(pool, "worker_pool", "id") ?? 0)), cpu: number < 0 ? nil : number,
      workers: workers, idle: idle, pending: pending.count, functions: functions, running: running(pool),
      idleFor: stamp.flatMap { ticks?.since($0) })
  }

  private func running(_ pool: UInt64) -> [(TaskInfo?, String)] {
    guard let head = view.offset("worker_pool", "workers"), let inside = view.offset("worker", "node") else { return [] }
    var found: [(TaskInfo?, String)] = []
    for worker in view.list(pool &+ head, inside: inside, limit: Workqueues.pendingLimit, of: "workers of a pool") {
      guard found.count < Workqueues.functionLimit, let function = view.value(worker, "worker", "current_func"), function != 0
      else { continue }
      found.append((view.value(worker, "worker", "task").flatMap { tasks[$0] }, places.name(ofFunction: function)))
    }
    return found
  }
}

/// The kernel's ticks (jiffies) as time. How many make a second is nowhere in the dump; it follows from the
/// ticks that passed since the boot, which counts from 300 seconds before an overflow of 32 bits.
struct Ticks {
  private let now: UInt64
  private let each: UInt64

  /// Nil where they can't be told.
  init?(_ view: KernelView, now clock: UInt64?) {
    guard let clock, let ticks = view.symbol("jiffies_64").flatMap({ view.u64($0) }) else { return nil }
    self.init(ticks: ticks, clock: clock)
  }

  init?(ticks: UInt64, clock: UInt64) {
    let rates: [UInt64] = [100, 250, 300, 1000]
    let seconds = clock / 1_000_000_000
    let fitting = rates.filter { rate in
      let (passed, underflow) = ticks.subtractingReportingOverflow(1 << 32 - 300 * rate)
      guard !underflow else { return false }
      let said = passed / rate
      return max(said, seconds) - min(said, seconds) <= 3 + seconds / 32
    }
    guard fitting.count == 1 else { return nil }
    now = ticks
    each = 1_000_000_000 / fitting[0]
  }

  /// Nanoseconds since a tick; nil for one of the future.
  func since(_ tick: UInt64) -> UInt64? {
    let (passed, underflow) = now.subtractingReportingOverflow(tick)
    if underflow { return nil }
    let (time, overflow) = passed.multipliedReportingOverflow(by: each)
    return overflow ? nil : time
  }

  /// Nanoseconds until a tick; negative for one of the past.
  func until(_ tick: UInt64) -> Int64 {
    // Ticks are compared as the kernel does it (time_after), modulo 2^64.
    let (time, overflow) = Int64(bitPattern: tick &- now).multipliedReportingOverflow(by: Int64(each))
    return overflow ? (tick &- now < 1 << 63 ? .max : .min) : time
  }
}
