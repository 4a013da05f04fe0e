internal import DumpBasics

/// Timers of each CPU's wheel that were still to run out (struct timer_base, kernel/time/timer.c, since 4.8).
struct Timers {
  struct Timer {
    /// What is called; of delayed work its own function.
    var function: String
    /// The task that sleeps until then.
    var task: TaskInfo?
    /// Nanoseconds until it runs out; negative where its time is over.
    var left: Int64
  }

  struct Wheel {
    var cpu: Int
    var count: Int
    /// The ones that run out first.
    var first: [Timer]
    /// Nanoseconds since the oldest ran out that nobody has run: where that is long, the CPU takes no
    /// interrupts.
    var overdue: UInt64?
  }

  private(set) var wheels: [Wheel] = []

  private static let cpuLimit = 4096
  /// Up to three wheels a CPU: for timers of this CPU, of any, and those that may wait (NR_BASES).
  private static let baseLimit = 3
  private static let bucketLimit = 1024
  private static let timerLimit = 1 << 16
  private static let firstLimit = 4
  /// A timer runs when its bucket does: later than it asked for by up to an eighth of its time. Of what has
  /// not run for longer than this a person should know.
  private static let overdueLimit: UInt64 = 10_000_000_000

  private let view: KernelView
  private let places: CodePlaces
  private let tasks: TaskList

  init(_ view: KernelView, _ places: CodePlaces, _ tasks: TaskList, cpus: [Int], now: UInt64?) {
    self.view = view
    self.places = places
    self.tasks = tasks
    guard let vectors = view.member("timer_base", "vectors"), let bytes = view.types?.size(vectors.type),
      let size = view.size("timer_base"), let link = view.offset("timer_list", "entry"), let ticks = Ticks(view, now: now),
      view.symbol("timer_bases", for: "timers") != nil
    else { return }
    let buckets = min(bytes / 8, Timers.bucketLimit)
    for cpu in cpus.prefix(Timers.cpuLimit) {
      guard !view.isTimeUp, let bases = view.perCPU("timer_bases", cpu) else { break }
      var found: [(left: Int64, address: UInt64)] = []
      for number in 0..<Timers.baseLimit {
        let base = bases &+ UInt64(number) &* size
        // Behind the last wheel something else lies.
        guard view.value(base, "timer_base", "cpu") == UInt64(cpu) else { break }
        for bucket in 0..<buckets {
          for timer in bucketed(base &+ UInt64(vectors.offset) &+ 8 &* UInt64(bucket), inside: link) {
            guard found.count < Timers.timerLimit, let expires = view.value(timer, "timer_list", "expires") else { continue }
            found.append((ticks.until(expires), timer))
          }
        }
      }
      found.sort { ($0.left, $0.address) < ($1.left, $1.address) }
      let late = found.first.flatMap { $0.left < 0 ? $0.left.magnitude : nil }
      wheels.append(
        Wheel(
          cpu: cpu, count: found.count, first: found.prefix(Timers.firstLimit).map { timer($0.address, $0.left) },
          overdue: late.flatMap { $0 >= Timers.overdueLimit ? $0 : nil }))
    }
  }

  /// What hangs in a bucket (struct hlist_head). Each entry says where the pointer to it lies.
  private func bucketed(_ head: UInt64, inside: UInt64) -> [UInt64] {
    var found: [UInt64] = []
    var last = head
    while let next = view.u64(last), next != 0 {
      guard isKernelAddress(next), next & 7 == 0, view.u64(next &+ 8) == last, found.count < Timers.timerLimit, view.listSteps > 0
      else {
        view.note("a list of timers is broken at \(hex(last)): what follows there is missing")
        view.isPartial = true
        break
      }
      view.listSteps -= 1
      found.append(next &- inside)
      last = next
    }
    return found
  }

  private func timer(_ address: UInt64, _ left: Int64) -> Timer {
    var name = places.name(ofFunction: view.value(address, "timer_list", "function"))
    var task: TaskInfo?
    switch name {
    case "delayed_work_timer_fn":
      if let inside = view.offset("delayed_work", "timer"),
        let function = view.value(address &- inside, "delayed_work", "work.func")
      {
        name = places.name(ofFunction: function)
      }
    case "process_timeout":
      // struct process_timer, on the stack of the task that sleeps.
      if let inside = view.offset("process_timer", "timer"),
        let sleeper = view.value(address &- inside, "process_timer", "task")
      {
        task = tasks[sleeper]
      }
    default: break
    }
    return Timer(function: name, task: task, left: left)
  }
}
