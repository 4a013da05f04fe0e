internal import CrashedKernel
internal import DumpBasics

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
  /// Whether the kernel could tell which one panicked, if one did.
  let isTold: Bool

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
    let stated = ["crashing_cpu", "panic_cpu"].compactMap { name in view.symbol(name).flatMap { view.u32($0) } }
    isTold = !stated.isEmpty
    // -1: none has panicked.
    crashed =
      stated.first { $0 < UInt32(Processors.limit) }.map { Int($0) }
      ?? (stated.isEmpty && all.count == 1 ? all.first?.number : nil)
  }

  /// The latest of the schedulers' clocks: when the machine stopped.
  var clock: UInt64? { all.compactMap(\.clock).max() }
}
