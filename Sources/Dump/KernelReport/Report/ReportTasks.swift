internal import DumpBasics

// Who waits for whom, and who could run.
extension ReportContent {
  static let runnableLimit = 64
  private static let holderLimit = 32

  /// Tasks that could run and did not, by the CPU that they wait for.
  mutating func addRunnable(_ tasks: TaskList) {
    let places = Dictionary(running.enumerated().map { ($1.cpu, $0) }, uniquingKeysWith: { first, _ in first })
    for task in tasks.tasks where task.state == "R" && task.pid != 0 && !task.isOnCPU {
      guard let place = task.cpu.flatMap({ places[$0] }), running[place].task?.address != task.address,
        running[place].waiting.count < ReportContent.runnableLimit
      else { continue }
      running[place].waiting.append(task)
    }
  }

  mutating func addTasks(_ view: KernelView, _ processors: Processors, _ tasks: TaskList, _ unwinder: Unwinder) {
    taskCount = tasks.tasks.count
    var counts: [Character: Int] = [:]
    for task in tasks.tasks { counts[task.state, default: 0] += 1 }
    states = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { ($0.key, $0.value) }
    let finder = WaitFinder(view: view, tasks: tasks)
    let now = processors.clock
    let onCPU = Set(processors.all.compactMap(\.task))
    var waits: [UInt64: Wait] = [:]
    func entry(_ task: TaskInfo) -> TaskStack {
      let trace = unwinder.sleeping(task)
      let wait = finder.wait(of: task, trace)
      var entry = TaskStack(task: task, trace: trace, wait: wait)
      entry.waited = now.flatMap { now in task.lastRan.flatMap { now >= $0 ? now - $0 : nil } }
      entry.holder = wait.holder.flatMap { tasks[$0] }
      entry.lastReader = wait.lastReader.flatMap { tasks[$0] }
      if let lock = wait.lock {
        let place = unwinder.places.place(lock, isReturn: false)
        // A variable is followed by others; what lies far behind one is none of it.
        if place.offset < 4096 { entry.lockName = place.function.map { place.offset == 0 ? $0 : "\($0)+\(hex(place.offset))" } }
      }
      return entry
    }
    let blocked = tasks.tasks.filter { $0.state == "D" && !$0.isOnCPU }.sorted { $0.lastRan ?? .max < $1.lastRan ?? .max }
    waitingCount = blocked.count
    for task in blocked.prefix(stackLimit) {
      if view.isTimeUp { break }
      let found = entry(task)
      waits[task.address] = found.wait
      waiting.append(found)
    }
    hung = hungTask(blocked).flatMap { task in
      waiting.first { $0.task.address == task.address }?.trace ?? (view.isTimeUp ? nil : unwinder.sleeping(task))
    }
    // Who holds a lock and waits for one itself leads on, in whatever state it waits.
    var shown = onCPU.union(waiting.map(\.task.address))
    var next = waiting.compactMap(\.holder)
    while !next.isEmpty, holders.count < ReportContent.holderLimit, !view.isTimeUp {
      let holder = next.removeFirst()
      guard shown.insert(holder.address).inserted else { continue }
      var found = entry(holder)
      if found.wait?.kind == .io || found.wait?.kind == .other { found.wait = nil }
      if let wait = found.wait { waits[holder.address] = wait }
      if let other = found.holder { next.append(other) }
      holders.append(found)
    }
    var seen: Set<UInt64> = []
    for task in waiting where !seen.contains(task.task.address) {
      let (addresses, isCycle) = finder.chain(from: task.task.address, waits)
      guard addresses.count > 1 || isCycle, !isCycle || !addresses.contains(where: seen.contains) else { continue }
      seen.formUnion(addresses)
      if chains.count < 32 { chains.append((addresses.compactMap { tasks[$0] }, isCycle)) }
    }
  }

  /// The task that the reason names, `INFO: task NAME:PID blocked for more than …`; else the one that waits
  /// the longest of those that the kernel's watchdog looks at. `blocked`: those that wait the longest first.
  private func hungTask(_ blocked: [TaskInfo]) -> TaskInfo? {
    guard Signature.kind(reason) == "hung-task" else { return nil }
    if let pid = Signature.hungPID(reason), let named = blocked.first(where: { $0.pid == pid }) { return named }
    return blocked.first(where: \.canHang)
  }
}
