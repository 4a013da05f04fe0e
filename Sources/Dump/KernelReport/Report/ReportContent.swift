internal import CrashedKernel
internal import DumpBasics

/// Everything that a report says, before it is put into words.
struct ReportContent {
  struct TaskStack {
    var task: TaskInfo
    var trace: StackTrace
    var wait: Wait?
    /// The lock's name, where it is a variable of the kernel.
    var lockName: String?
    var holder: TaskInfo?
    /// For how long it has not run, in nanoseconds.
    var waited: UInt64?
  }
  struct ProcessorStack {
    var processor: Processors.Processor
    var task: TaskInfo?
    var trace: StackTrace
  }

  var reason: String?
  var release = "unknown"
  var version: String?
  var node: String?
  var machine: String?
  var commandLine: String?
  var taint: [String]?
  /// The time of the log's last line.
  var uptime: String?
  var crashTime: Int64?
  var crashed: ProcessorStack?
  var code: (start: UInt64, at: UInt64, bytes: [UInt8])?
  var others: [ProcessorStack] = []
  var log: [String] = []
  var waiting: [TaskStack] = []
  /// Tasks that hold what others wait for, do not wait for a lock themselves, and do not run.
  var holders: [TaskStack] = []
  /// Waiting tasks in all; `waiting` has no more than its limit.
  var waitingCount = 0
  /// Each chain of tasks: every one waits for the next; of a cycle the last waits for the first.
  var chains: [(tasks: [TaskInfo], isCycle: Bool)] = []
  var states: [(state: Character, count: Int)] = []
  var taskCount = 0
  var running: [(cpu: Int, runnable: UInt64?, task: TaskInfo?)] = []
  var load: [String] = []
  var memory: MemoryPicture?
  var system: SystemPicture?
  var requests: BlockRequests?
  var network: NetworkPicture?
  var workqueues: Workqueues?
  /// Of the task that panicked.
  var cgroup: String?
  var modules: [String] = []
  var signature: Signature?
  /// What the types say of VMCOREINFO.
  var layout = LayoutWitness(nil)
  var notes: [String] = []

  static let logLines = 40
  /// Stacks of CPUs that are kept, and as many of waiting tasks: each takes some 20 KiB on its way into JSON.
  private let stackLimit: Int

  init(_ kernel: CrashedKernel, stackLimit: Int = 256, isOver: @escaping () -> Bool) {
    self.stackLimit = max(1, stackLimit)
    crashTime = kernel.crashTime
    release = kernel.release.map { cleanText($0.utf8.prefix(200)) } ?? "unknown"
    let log = try? kernel.log()
    if let log {
      reason = log.panicMessage
      let lines = log.lines
      self.log = lines.suffix(ReportContent.logLines).map { String($0.prefix(300)) }
      uptime = lines.last.flatMap(ReportContent.time)
    } else {
      notes.append("no log: it can't be read from the dump")
    }
    guard let view = KernelView(kernel, isOver: isOver) else {
      notes.append("no way to the kernel's memory: nothing but the log and the notes can be read")
      notes += kernel.findings.prefix(8).map(\.description)
      signature = Signature(kind: Signature.kind(reason), functions: [])
      return
    }
    describe(view)
    layout = LayoutWitness(view)
    for disagreement in layout.disagreements { view.note(disagreement.text) }
    let places = CodePlaces(view)
    modules = places.modules.prefix(256).map(\.name)
    let tasks = TaskList(view)
    let processors = Processors(view)
    let unwinder = Unwinder(view: view, places: places)
    addProcessors(view, processors, tasks, unwinder)
    addTasks(view, processors, tasks, unwinder)
    cgroup = crashed?.task.flatMap { SystemPicture.cgroup($0.address, view) }
    if !view.isTimeUp { memory = MemoryPicture(view, tasks) }
    if !view.isTimeUp { system = SystemPicture(view) }
    if !view.isTimeUp { workqueues = Workqueues(view, places, tasks, now: processors.clock) }
    if !view.isTimeUp { requests = BlockRequests(view, now: processors.clock) }
    if !view.isTimeUp { network = NetworkPicture(view) }
    signature = Signature(kind: Signature.kind(reason), functions: tellingFrames.compactMap(\.place.function))
    notes += view.notes
  }

  /// The frames that tell one bug from another.
  private var tellingFrames: ArraySlice<Frame> {
    let kind = Signature.kind(reason)
    // The one that panics is a watchdog: the bug is in who waits the longest.
    if kind == "hung-task", let first = waiting.first {
      return first.trace.frames.drop { WaitFinder.isMachinery($0.place.function) }
    }
    let frames = (crashed?.trace.frames ?? []).prefix { $0.isReliable }
    // Who needs the page that is one too many is an accident.
    if kind == "out-of-memory",
      let end = frames.firstIndex(where: { normalisedFunction($0.place.function ?? "") == "out_of_memory" })
    {
      return frames[...end]
    }
    // An NMI that somebody sent from outside interrupts whatever happens to run.
    if kind == "nmi", let end = frames.dropFirst().firstIndex(where: { $0.registers != nil }) { return frames[..<end] }
    return frames
  }

  /// The frame whose registers a person wants to see: where an exception hit, else where the CPU stood.
  var telling: Frame? {
    let known = (crashed?.trace.frames ?? []).filter { $0.registers != nil }
    return known.first { $0.place.function != "__crash_kexec" } ?? known.first
  }

  /// `12.345678` of `[   12.345678] text`.
  private static func time(_ line: String) -> String? {
    let bytes = Array(line.utf8)
    guard bytes.first == UInt8(ascii: "["), let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
    return cleanText(bytes[1..<end].drop { $0 == 0x20 })
  }

  private mutating func describe(_ view: KernelView) {
    if let names = view.info.symbol("init_uts_ns"),
      let start = names.advanced(by: UInt64(view.info.offset("uts_namespace.name") ?? 4))?.rawValue
    {
      node = view.text(start &+ 65, limit: 65)
      version = view.text(start &+ 3 * 65, limit: 65)
    }
    machine = view.symbol("dump_stack_arch_desc_str").flatMap { view.text($0, limit: 128) }.flatMap { $0.isEmpty ? nil : $0 }
    commandLine = view.symbol("saved_command_line").flatMap { view.u64($0) }.flatMap { view.text($0, limit: 4096) }
    taint = view.symbol("tainted_mask").flatMap { view.u64($0) }.map(Taint.texts)
    if let average = view.symbol("avenrun") {
      // Fixed point with 11 bits (include/linux/sched/loadavg.h).
      load = (0..<3).compactMap { view.u64(average &+ $0 * 8) }.map {
        // Rounded as /proc/loadavg does.
        let hundredths = (($0 & 0xffff_ffff) + 10) * 100 / 2048
        return "\(hundredths / 100).\(padded(hundredths % 100, 2))"
      }
    }
  }

  private mutating func addProcessors(_ view: KernelView, _ processors: Processors, _ tasks: TaskList, _ unwinder: Unwinder) {
    // The one that crashed first: the time may be up soon.
    let ordered =
      processors.all.filter { $0.number == processors.crashed } + processors.all.filter { $0.number != processors.crashed }
    for processor in ordered.prefix(stackLimit) {
      running.append((processor.number, processor.running, processor.task.flatMap { tasks[$0] }))
      if view.isTimeUp { continue }
      let trace = processor.registers.map { unwinder.unwind($0) } ?? StackTrace(problem: "this CPU left no registers")
      let stack = ProcessorStack(processor: processor, task: processor.task.flatMap { tasks[$0] }, trace: trace)
      if processor.number == processors.crashed { crashed = stack } else { others.append(stack) }
    }
    running.sort { $0.cpu < $1.cpu }
    others.sort { $0.processor.number < $1.processor.number }
    if processors.crashed == nil { view.note("which CPU panicked is not known") }
    if processors.all.count > stackLimit {
      view.note("stacks of \(stackLimit) CPUs are shown")
    }
    // Where it went wrong: the innermost exception, else where the CPU stood.
    if let registers = telling?.registers {
      // What lies before it may be no memory: the first function of a module.
      for before in [32, 0] as [UInt64] {
        let start = registers.ip &- before
        if code == nil, let bytes = view.bytes(start, Int(before) + 24) { code = (start, registers.ip, bytes) }
      }
    }
  }

  private mutating func addTasks(_ view: KernelView, _ processors: Processors, _ tasks: TaskList, _ unwinder: Unwinder) {
    taskCount = tasks.tasks.count
    var counts: [Character: Int] = [:]
    for task in tasks.tasks { counts[task.state, default: 0] += 1 }
    states = counts.sorted { $0.value > $1.value }.map { ($0.key, $0.value) }
    let finder = WaitFinder(view: view, tasks: tasks)
    let now = processors.clock
    var waits: [UInt64: Wait] = [:]
    let blocked = tasks.tasks.filter { $0.state == "D" && !$0.isOnCPU }.sorted { $0.lastRan ?? .max < $1.lastRan ?? .max }
    waitingCount = blocked.count
    for task in blocked.prefix(stackLimit) {
      if view.isTimeUp { break }
      let trace = unwinder.sleeping(task)
      let wait = finder.wait(of: task, trace)
      waits[task.address] = wait
      let waited = now.flatMap { now in task.lastRan.flatMap { now >= $0 ? now - $0 : nil } }
      var entry = TaskStack(task: task, trace: trace, wait: wait, waited: waited)
      entry.holder = wait.holder.flatMap { tasks[$0] }
      if let lock = wait.lock {
        let place = unwinder.places.place(lock, isReturn: false)
        // A variable is followed by others; what lies far behind one is none of it.
        if place.offset < 4096 { entry.lockName = place.function.map { place.offset == 0 ? $0 : "\($0)+\(hex(place.offset))" } }
      }
      waiting.append(entry)
    }
    let known = Set(waiting.map(\.task.address) + processors.all.compactMap(\.task))
    var shown = known
    for holder in waiting.compactMap(\.holder) where !shown.contains(holder.address) && holders.count < 32 {
      if view.isTimeUp { break }
      shown.insert(holder.address)
      let waited = now.flatMap { now in holder.lastRan.flatMap { now >= $0 ? now - $0 : nil } }
      holders.append(TaskStack(task: holder, trace: unwinder.sleeping(holder), waited: waited))
    }
    var seen: Set<UInt64> = []
    for task in waiting where !seen.contains(task.task.address) {
      let (addresses, isCycle) = finder.chain(from: task.task.address, waits)
      guard addresses.count > 1 || isCycle, !isCycle || !addresses.contains(where: seen.contains) else { continue }
      seen.formUnion(addresses)
      if chains.count < 32 { chains.append((addresses.compactMap { tasks[$0] }, isCycle)) }
    }
  }
}
