public import CrashedKernel
public import DumpBasics

/// Which CPUs left their registers, and which should have.
///
/// VMCOREINFO has no count of CPUs (up to 7.3). What the kernel knows is found through its symbol table,
/// kallsyms, and so since Linux 6.0; before, the check counts as not made, and a report has to say so.
public struct ProcessorCensus: Sendable {
  /// NT_PRSTATUS notes in the dump.
  public let present: Int
  /// CPUs that were online; nil when the kernel can't be asked.
  public let online: Int?
  /// How many of them have no registers in the dump.
  public private(set) var missing = 0
  public private(set) var findings: [DumpError] = []

  /// No machine that Linux runs on has more CPUs (NR_CPUS).
  static let limit: UInt32 = 8192

  public init(_ kernel: CrashedKernel) {
    present = kernel.cpuCount
    guard let info = kernel.vmcoreinfo, let memory = kernel.memory?.separate(recording: false) else {
      online = nil
      return
    }
    let state = ProcessorState(info, memory, limit: ProcessorCensus.limit)
    online = state.online
    // More registers than CPUs are no finding: a panic may take CPUs offline before the dump
    // (crash_kexec_post_notifiers).
    guard let online, online > present else { return }
    let place = "NT_PRSTATUS"
    // By number where the CPUs' own notes can be read: the dump's were made from them.
    for (cpu, note) in state.notes {
      if let note, kernel.source.notes.contains(where: { $0.isProcessorStatus && $0.descriptor == note }) { continue }
      missing += 1
      let what = note == nil ? "CPU \(cpu) was online and left no registers" : "the registers of CPU \(cpu) are missing"
      findings.append(DumpError(what, at: place))
    }
    if missing == 0 {
      missing = online - present
      findings = [
        DumpError("registers of \(missing) CPUs are missing: \(online) were online, \(present) left registers", at: place)
      ]
    }
  }
}

/// What the kernel's memory says of its CPUs.
private struct ProcessorState {
  /// `__num_online_cpus` (an atomic_t, kernel/cpu.c since 5.3).
  var online: Int?
  /// The CPUs of `__cpu_online_mask` with the registers that each saved in `crash_notes` (per CPU,
  /// kernel/crash_core.c); nil for one that saved none. Empty when any of it can't be had, or contradicts the
  /// count.
  var notes: [(cpu: Int, note: [UInt8]?)] = []

  init(_ info: VMCoreInfo, _ memory: KernelMemory, limit: UInt32) {
    let names = ["__num_online_cpus", "__cpu_online_mask", "nr_cpu_ids", "__per_cpu_offset", "crash_notes"]
    var symbols = KernelSymbols.find(names, info, memory)
    for name in names { symbols[name] = symbols[name] ?? info.symbol(name) }
    func word(_ name: String) -> UInt32? { symbols[name].flatMap { try? memory.u32($0) } }
    guard let count = word("__num_online_cpus"), (1...limit).contains(count) else { return }
    online = Int(count)
    guard let mask = symbols["__cpu_online_mask"], let ids = word("nr_cpu_ids"), (count...limit).contains(ids),
      let bytes = try? memory.read(mask, count: Int(ids + 63) / 64 * 8), let offsets = symbols["__per_cpu_offset"],
      let variable = symbols["crash_notes"], let base = try? memory.u64(variable)
    else { return }
    let words = ByteReader(bytes, memory.byteOrder)
    let cpus = (0..<Int(ids)).filter { (words.u64($0 / 64 * 8) ?? 0) >> UInt64($0 % 64) & 1 == 1 }
    guard cpus.count == Int(count) else { return }
    var found: [(cpu: Int, note: [UInt8]?)] = []
    for cpu in cpus {
      guard let place = try? memory.processorCopy(of: base, cpu: cpu, offsets),
        let note = try? ProcessorState.note(place, memory)
      else { return }
      found.append((cpu, note))
    }
    notes = found
  }

  /// The descriptor of the ELF note at `address`, the inner nil when there is none. Throws for what is no
  /// such note.
  private static func note(_ address: VirtualAddress, _ memory: KernelMemory) throws(DumpError) -> [UInt8]? {
    let header = ByteReader(try memory.read(address, count: 12), memory.byteOrder)
    guard let nameSize = header.u32(0), let size = header.u32(4), nameSize > 0 else { return nil }
    guard nameSize == 5, size <= 4096, let start = address.advanced(by: 12 + 8) else {
      throw DumpError("no note", at: "kernel address \(address)")
    }
    return try memory.read(start, count: Int(size))
  }
}
