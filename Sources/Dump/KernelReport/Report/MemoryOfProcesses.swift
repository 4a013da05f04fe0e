internal import DumpBasics

extension MemoryPicture {
  /// What one memory (struct mm_struct) takes. Processes may share one.
  struct Process {
    var task: TaskInfo
    var bytes: UInt64
    var swapped: UInt64?
    /// Of its page tables.
    var tables: UInt64?
    /// What the kernel is to add when it looks for one to kill.
    var adjustment: Int64?

    var text: String {
      var parts = [humanBytes(bytes)]
      if let swapped, swapped > 0 { parts.append("\(humanBytes(swapped)) in swap") }
      if let tables { parts.append("\(humanBytes(tables)) of page tables") }
      if let adjustment, adjustment != 0 { parts.append("oom_score_adj \(adjustment)") }
      return parts.joined(separator: ", ")
    }
  }

  /// The largest, one for each memory. A process whose first thread has ended lives on in the others.
  static func largest(_ view: KernelView, _ tasks: TaskList) -> [Process] {
    var order: [UInt64] = []
    var users: [UInt64: [TaskInfo]] = [:]
    for task in tasks.tasks where isKernelAddress(task.mm) && !task.isKernelThread {
      if users[task.mm] == nil { order.append(task.mm) }
      users[task.mm, default: []].append(task)
    }
    var found: [Process] = []
    let shift = view.memory.pageSize.shift
    for mm in order {
      if view.isTimeUp { break }
      guard let tasks = users[mm], let task = tasks.first(where: \.isLeader) ?? tasks.first,
        let pages = counters(view, mm, tasks)
      else { continue }
      // File, anonymous and shmem pages; those in swap (include/linux/mm_types_task.h).
      let resident = pages[0] &+ pages[1] &+ pages[3]
      guard resident > 0, resident < 1 << 40 else { continue }
      let signal = view.value(task.address, "task_struct", "signal")
      found.append(
        Process(
          task: task, bytes: UInt64(resident) << shift,
          swapped: (0..<1 << 40).contains(pages[2]) ? UInt64(pages[2]) << shift : nil,
          tables: view.value(mm, "mm_struct", "pgtables_bytes.counter").flatMap { $0 < 1 << 52 ? $0 : nil },
          adjustment: signal.flatMap { view.value($0, "signal_struct", "oom_score_adj") }.map {
            Int64(Int16(truncatingIfNeeded: $0))
          }))
    }
    return Array(found.sorted { $0.bytes > $1.bytes }.prefix(shown))
  }

  /// The four counters of `rss_stat`, with what is counted beside them: since 6.2 by CPUs, before that by the
  /// threads that use the memory.
  private static func counters(_ view: KernelView, _ mm: UInt64, _ tasks: [TaskInfo]) -> [Int64]? {
    guard let types = view.types, let stat = view.member("mm_struct", "rss_stat") else { return nil }
    var sums: [Int64] = [0, 0, 0, 0]
    guard let (element, _) = types.array(types.bare(stat.type)) else {
      let own = view.member("task_struct", "rss_stat.count")
      for index in 0..<4 {
        sums[index] &+= Int64(bitPattern: view.u64(mm &+ UInt64(stat.offset + index * 8)) ?? 0)
        guard let own else { continue }
        for task in tasks {
          sums[index] &+= Int64(Int32(bitPattern: view.u32(task.address &+ UInt64(own.offset + index * 4)) ?? 0))
        }
      }
      return sums
    }
    guard let each = types.size(element), let count = types.member(element, "count"),
      let parts = types.member(element, "counters")
    else { return nil }
    let cpus = min(256, Processors.count(view))
    for index in 0..<4 {
      let place = mm &+ UInt64(stat.offset + index * each)
      sums[index] &+= Int64(bitPattern: view.u64(place &+ UInt64(count.offset)) ?? 0)
      guard let table = view.u64(place &+ UInt64(parts.offset)), let offsets = view.symbol("__per_cpu_offset"), table != 0 else {
        continue
      }
      for cpu in 0..<cpus {
        guard let offset = view.u64(offsets &+ UInt64(cpu * 8)), let part = view.u32(table &+ offset) else { continue }
        sums[index] &+= Int64(Int32(bitPattern: part))
      }
    }
    return sums
  }
}
