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
    var lastReader: TaskInfo?
    /// For how long it has not run, in nanoseconds.
    var waited: UInt64?
  }
  struct ProcessorStack {
    var processor: Processors.Processor
    var task: TaskInfo?
    var trace: StackTrace
  }

  struct Running {
    var cpu: Int
    /// How many could run, by the kernel's own count.
    var runnable: UInt64?
    var task: TaskInfo?
    /// Others that could, at most `runnableLimit`.
    var waiting: [TaskInfo] = []
  }

  var reason: String?
  var release = "unknown"
  var version: String?
  var node: String?
  var machine: String?
  var commandLine: String?
  var taint: [String]?
  /// The time of the log's last record, in nanoseconds.
  var uptime: UInt64?
  /// Whether the dump is not all there; `notes` says how.
  var cut: String?
  /// The task that hung, where that is why the kernel panicked.
  var hung: StackTrace?
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
  var running: [Running] = []
  var load: [String] = []
  var memory: MemoryPicture?
  var system: SystemPicture?
  var requests: BlockRequests?
  var network: NetworkPicture?
  var workqueues: Workqueues?
  var timers: Timers?
  /// Of the task that panicked.
  var cgroup: String?
  var modules: [String] = []
  var signature: Signature?
  /// What the types say of VMCOREINFO.
  var layout = LayoutWitness(nil)
  var notes: [String] = []

  var pageBytes: UInt64 { memory?.pageBytes ?? 4096 }

  static let logLines = 40
  /// Stacks of CPUs that are kept, and as many of waiting tasks: each takes some 20 KiB on its way into JSON.
  let stackLimit: Int

  init(_ kernel: CrashedKernel, stackLimit: Int = 256, isOver: @escaping () -> Bool) {
    self.stackLimit = max(1, stackLimit)
    crashTime = kernel.crashTime
    release = kernel.release.map { cleanText($0.utf8.prefix(200)) } ?? "unknown"
    let log = try? kernel.log()
    if let log {
      reason = log.panicMessage
      let lines = log.lines
      self.log = lines.suffix(ReportContent.logLines).map { printable(String($0.prefix(300))) }
      uptime = ReportContent.uptime(log)
    } else {
      notes.append("no log: it can't be read from the dump")
    }
    reason = reason ?? kernel.source.crashStatement?.reason.map { cleanText($0.utf8.prefix(300)) }
    cut = kernel.source.shortfall.map(KernelView.text)
    guard let view = KernelView(kernel, isOver: isOver) else {
      if let cut { notes.append(cut) }
      notes.append("no way to the kernel's memory: nothing but the log and the notes can be read")
      notes += kernel.findings.prefix(8).map(\.description)
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
    if !view.isTimeUp {
      timers = Timers(view, places, tasks, cpus: processors.all.map(\.number), now: processors.clock)
    }
    if !view.isTimeUp { requests = BlockRequests(view, now: processors.clock) }
    if !view.isTimeUp { network = NetworkPicture(view) }
    // What a cut left of a stack would make another signature, under which nobody looks for this crash. A
    // kernel that runs on has not crashed.
    if cut == nil, !kernel.source.isLive {
      signature = Signature(kind: Signature.kind(reason), functions: tellingFrames.compactMap(\.place.function))
    }
    notes += view.notes
  }

  /// The frame whose registers a person wants to see: where an exception hit, else where the CPU stood.
  var telling: Frame? {
    let known = (crashed?.trace.frames ?? []).filter { $0.registers != nil }
    return known.first { $0.place.function != "__crash_kexec" } ?? known.first
  }

  /// The time of a log's last record. Its last line need not have one: a record may have several lines.
  static func uptime(_ log: KernelLog) -> UInt64? {
    log.entries.last?.nanoseconds ?? log.lines.suffix(logLines).reversed().lazy.compactMap(time).first
  }

  /// The nanoseconds of `[   12.345678] text`.
  static func time(_ line: String) -> UInt64? {
    let bytes = Array(line.utf8)
    guard bytes.first == UInt8(ascii: "["), let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
    let parts = bytes[1..<end].drop { $0 == 0x20 }.split(separator: UInt8(ascii: "."))
    guard parts.count == 2, parts[1].count == 6, let whole = UInt64(String(decoding: parts[0], as: UTF8.self)),
      let fraction = UInt64(String(decoding: parts[1], as: UTF8.self)), whole < 1 << 32
    else { return nil }
    return whole * 1_000_000_000 + fraction * 1000
  }

  private mutating func describe(_ view: KernelView) {
    if let names = view.info.symbol("init_uts_ns"),
      let start = names.advanced(by: UInt64(view.info.offset("uts_namespace.name") ?? 4))?.rawValue
    {
      node = view.text(start &+ 65, limit: 65)
      version = view.text(start &+ 3 * 65, limit: 65)
    }
    machine = view.symbol("dump_stack_arch_desc_str").flatMap { view.text($0, limit: 128) }.flatMap { $0.isEmpty ? nil : $0 }
    commandLine = view.symbol("saved_command_line", for: "command line").flatMap { view.u64($0) }.flatMap {
      view.text($0, limit: 4096)
    }
    if commandLine == nil, let pointer = view.symbol("saved_command_line") {
      view.note("no command line: what \(hex(pointer)) leads to is not in the dump")
    }
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
      running.append(Running(cpu: processor.number, runnable: processor.running, task: processor.task.flatMap { tasks[$0] }))
      if view.isTimeUp { continue }
      let trace = processor.registers.map { unwinder.unwind($0) } ?? StackTrace(problem: "this CPU left no registers")
      let stack = ProcessorStack(processor: processor, task: processor.task.flatMap { tasks[$0] }, trace: trace)
      if processor.number == processors.crashed { crashed = stack } else { others.append(stack) }
    }
    running.sort { $0.cpu < $1.cpu }
    addRunnable(tasks)
    // A kernel that has no names of variables does not say which; its stack does.
    if crashed == nil, !processors.isTold,
      let index = others.firstIndex(where: { $0.trace.isOfPanic })
    {
      crashed = others.remove(at: index)
    }
    others.sort { $0.processor.number < $1.processor.number }
    if crashed == nil { view.note("which CPU panicked is not known") }
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
}
