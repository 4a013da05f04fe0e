import CrashedKernel
import DumpBasics
import DumpSource

/// A crashed kernel of 256 KiB, made in a test: code, names (kallsyms), types (BTF), unwind tables (ORC),
/// tasks and their stacks. Two tasks wait for each other's mutex; a third panicked.
final class TinyKernel: DumpSource, @unchecked Sendable {
  static let base: UInt64 = 0xffff_ffff_8100_0000
  static let physical: UInt64 = 0x100_0000
  static let functions: [(name: String, at: UInt64)] = [
    ("_stext", 0x1000), ("panic", 0x1000), ("__crash_kexec", 0x1200), ("crash_me.isra.0", 0x1400), ("sys_write", 0x1600),
    ("entry", 0x1800),
    ("__schedule", 0x1a00), ("__mutex_lock.constprop.0", 0x1c00), ("worker", 0x1e00), ("ret_from_fork", 0x2000),
    ("_etext", 0x3000),
  ]
  private static let variables: [(name: String, at: UInt64)] = [
    ("init_uts_ns", 0x4000), ("tainted_mask", 0x4200), ("crashing_cpu", 0x4208), ("nr_cpu_ids", 0x4210),
    ("__cpu_online_mask", 0x4218),
    ("__per_cpu_offset", 0x4220), ("saved_command_line", 0x4228), ("__start_orc_unwind_ip", 0x5000),
    ("__stop_orc_unwind_ip", 0x5028),
    ("__start_orc_unwind", 0x5100), ("__stop_orc_unwind", 0x513c), ("init_task", 0x8000), ("runqueues", 0xc000),
    ("__start_BTF", 0x10000), ("__stop_BTF", 0x11000), ("_end", 0x40000),
  ]
  // Tasks: init_task, the one that panicked, and two that wait.
  static let tasks: [UInt64] = [0x8000, 0x8400, 0x8800, 0x8c00]
  static let stacks: [UInt64] = [0, 0x20000, 0x28000, 0x30000]
  static let mutexes: [UInt64] = [0xd000, 0xd040]

  let name = "tiny"
  let identity: MachineIdentity
  let segments: [MemorySegment]
  var notes: [DumpNote] = []
  /// Of VMCOREINFO.
  private(set) var lines: [String] = []
  var shortfall: Shortfall?
  var image = [UInt8](repeating: 0, count: 0x40000)

  init(orc form: UInt16 = 0x205, _ architecture: Architecture = .x86_64, pageSize: Int = 4096, symbols: [String] = []) {
    identity = MachineIdentity(architecture, .little)
    segments =
      PhysicalRange(start: TinyKernel.physical, count: 0x40000)
      .map { [MemorySegment(physical: $0, virtualAddress: TinyKernel.base, flags: 7, fileOffset: 0, fileSize: 0x40000)] } ?? []
    addCode()
    addNames()
    let types = TinyKernel.types().bytes
    precondition(types.count <= 0x1000)
    put(0x10000, types)
    addUnwindTable(form)
    addVariables()
    addTasks()
    addNotes(pageSize, symbols)
  }

  func read(at address: PhysicalAddress, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    guard address.rawValue >= TinyKernel.physical, address.rawValue - TinyKernel.physical <= UInt64(image.count - buffer.count)
    else {
      throw DumpError("not there")
    }
    let start = Int(address.rawValue - TinyKernel.physical)
    buffer.copyBytes(from: image[start..<start + buffer.count])
  }

  func put(_ at: UInt64, _ bytes: [UInt8]) { image.replaceSubrange(Int(at)..<Int(at) + bytes.count, with: bytes) }
  func put(_ at: UInt64, u64 value: UInt64) { put(at, (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }) }
  func put(_ at: UInt64, u32 value: UInt32) { put(at, (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) }) }
  func place(_ at: UInt64) -> UInt64 { TinyKernel.base + at }

  // MARK: code: each function calls another at its byte 0x10, so 0x15 is a return address

  private func call(_ at: UInt64, _ target: UInt64) {
    put(at + 0x10, [0xe8])
    put(at + 0x11, u32: UInt32(truncatingIfNeeded: target &- (at + 0x15)))
  }
  private func addCode() {
    call(0x1000, 0x1200)
    call(0x1400, 0x1000)
    call(0x1600, 0x1400)
    call(0x1800, 0x1600)
    call(0x1c00, 0x1a00)
    call(0x1e00, 0x1c00)
    call(0x2000, 0x1e00)
  }

  /// Sorted by code; every function has 16 bytes of its own and then the return address, `__crash_kexec` has
  /// no entry, and `entry` has registers of user space above it.
  private func addUnwindTable(_ form: UInt16) {
    let renumbered = form == 0x203
    let user: UInt16 = form == 0x005 ? 0x105 : renumbered ? 0x303 : 0x305
    let end: UInt16 = form == 0x005 ? 0x400 : 0x100
    let entries: [(at: UInt64, offset: UInt16, fields: UInt16)] = [
      (0x1000, 24, form), (0x1200, 0, 0), (0x1400, 24, form), (0x1600, 24, form), (0x1800, 16, user), (0x1a00, 24, form),
      (0x1c00, 24, form), (0x1e00, 24, form), (0x2000, 0, end), (0x2200, 24, form),
    ]
    for (index, entry) in entries.enumerated() {
      let place = 0x5000 + UInt64(4 * index)
      put(place, u32: UInt32(truncatingIfNeeded: entry.at &- place))
      let record = 0x5100 + UInt64(6 * index)
      put(
        record, [UInt8(entry.offset & 255), UInt8(entry.offset >> 8), 0, 0, UInt8(entry.fields & 255), UInt8(entry.fields >> 8)])
    }
  }

  // MARK: names: every token is one letter

  private func addNames() {
    let symbols = (TinyKernel.functions + TinyKernel.variables).sorted { $0.at < $1.at }
    var names: [UInt8] = []
    for (index, symbol) in symbols.enumerated() {
      names.append(UInt8(symbol.name.utf8.count + 1))
      names += [UInt8(ascii: "T")] + Array(symbol.name.utf8)
      put(0x7000 + UInt64(4 * index), u32: UInt32(symbol.at))
    }
    put(0x6000, u32: UInt32(symbols.count))
    put(0x6008, u64: TinyKernel.base)
    put(0x6100, names)
    var tokens: [UInt8] = []
    for letter in 0..<256 {
      put(0x7800 + UInt64(2 * letter), [UInt8(tokens.count & 255), UInt8(tokens.count >> 8)])
      tokens += letter == 0 ? [0] : [UInt8(letter), 0]
    }
    put(0x7a00, tokens)
  }

  static func types() -> TypeBuilder {
    var types = TypeBuilder()
    let int = types.integer("int", size: 4, signed: true)
    let word = types.integer("long unsigned int", size: 8)
    let char = types.integer("char", size: 1)
    let pointer = types.pointer(0)
    let comm = types.array(char, 16)
    let list = types.structure("list_head", size: 16, [("next", pointer, 0), ("prev", pointer, 8)])
    let counter = types.structure("", size: 8, [("counter", word, 0)])
    let atomic = types.typedef("atomic_long_t", counter)
    // x86_64 has `sp`, arm64 `cpu_context`.
    let context = types.structure("cpu_context", size: 24, [("fp", word, 0), ("sp", word, 8), ("pc", word, 16)])
    let thread = types.structure(
      "thread_struct", size: 32, [("flags", word, 0), ("sp", word, 8), ("cpu_context", context, 8)])
    _ = types.structure("pt_regs", size: 288, [("stackframe", types.array(word, 2), 272)])
    let info = types.structure("sched_info", size: 16, [("last_arrival", word, 0)])
    let counters = types.structure("mm_rss_stat", size: 32, [("count", types.array(atomic, 4), 0)])
    let splitCounters = types.structure("task_rss_stat", size: 20, [("events", int, 0), ("count", types.array(int, 4), 4)])
    let inner = types.structure("", size: 8, [("on_cpu", int, 0), ("cpu", types.const(int), 4)])
    _ = types.structure(
      "task_struct", size: 512,
      [
        ("__state", int, 0), ("exit_state", int, 4), ("pid", int, 8), ("tgid", int, 12), ("comm", comm, 16), ("tasks", list, 32),
        ("", inner, 48), ("mm", pointer, 56), ("signal", pointer, 64), ("thread_node", list, 72), ("thread", thread, 96),
        ("sched_info", info, 128), ("flags", int, 144), ("rss_stat", splitCounters, 148),
      ])
    _ = types.structure("mm_struct", size: 64, [("rss_stat", counters, 8), ("pgtables_bytes", atomic, 40)])
    _ = types.structure("rw_semaphore", size: 40, [("count", atomic, 0), ("owner", atomic, 8)])
    _ = types.structure("signal_struct", size: 16, [("thread_head", list, 0)])
    _ = types.structure("inactive_task_frame", size: 56, [("bp", word, 40), ("ret_addr", word, 48)])
    _ = types.structure("mutex", size: 32, [("owner", atomic, 0), ("wait_list", list, 16)])
    _ = types.structure(
      "rq", size: 64, [("nr_running", int, 0), ("curr", pointer, 8), ("idle", pointer, 16), ("clock", word, 24)])
    return types
  }

  // MARK: data

  private func addVariables() {
    put(0x4004, Array("Linux".utf8))
    put(0x4004 + 65, Array("tinyhost".utf8))
    put(0x4004 + 195, Array("#1 SMP".utf8))
    put(0x4200, u64: 1 << 7)
    put(0x4208, u32: 0)
    put(0x4210, u32: 1)
    put(0x4218, u64: 1)
    put(0x4228, u64: place(0x4300))
    put(0x4300, Array("root=/dev/vda\u{1b}[31m quiet".utf8))
  }

  private func addTasks() {
    let names = ["swapper/0", "victim", "first", "second"]
    for (index, task) in TinyKernel.tasks.enumerated() {
      put(task, u32: index > 1 ? 2 : 0)
      put(task + 8, u32: UInt32(index == 0 ? 0 : 100 + index))
      put(task + 12, u32: UInt32(index == 0 ? 0 : 100 + index))
      put(task + 16, Array(names[index].utf8))
      put(task + 32, u64: place(TinyKernel.tasks[(index + 1) % 4] + 32))
      put(task + 40, u64: place(TinyKernel.tasks[(index + 3) % 4] + 32))
      put(task + 48, u32: index == 1 ? 1 : 0)
      // swapper is a thread of the kernel.
      put(task + 144, u32: index == 0 ? 0x20_0000 : 0)
      put(task + 128, u64: 5_000_000_000)
    }
    put(0xc000, u32: 1)
    put(0xc008, u64: place(TinyKernel.tasks[1]))
    put(0xc010, u64: place(TinyKernel.tasks[0]))
    put(0xc018, u64: 65_000_000_000)
    // victim: __crash_kexec ← panic ← crash_me ← sys_write ← entry ← user space
    var sp = TinyKernel.stacks[1]
    put(sp + 0x20, u64: place(0x1015))
    sp += 0x28
    for caller in [0x1415, 0x1615, 0x1815] as [UInt64] {
      put(sp + 16, u64: place(caller))
      sp += 24
    }
    put(sp + 16 + 17 * 8, u64: 0x33)
    // first, second: __schedule ← __mutex_lock ← worker ← ret_from_fork, each with the other's mutex on the
    // stack
    for index in 2...3 {
      let frame = TinyKernel.stacks[index]
      put(TinyKernel.tasks[index] + 104, u64: place(frame))
      put(frame + 48, u64: place(0x1a30))
      var sp = frame + 56
      for caller in [0x1c15, 0x1e15, 0x2015] as [UInt64] {
        put(sp + 16, u64: place(caller))
        sp += 24
      }
      put(frame + 56 + 32, u64: place(TinyKernel.mutexes[3 - index]))
      put(TinyKernel.mutexes[index - 2], u64: place(TinyKernel.tasks[index]) | 1)
    }
  }

  /// `more`: names of functions and variables that VMCOREINFO gives too.
  private func addNotes(_ pageSize: Int, _ more: [String]) {
    let symbols: [(String, UInt64)] = [
      ("init_uts_ns", 0x4000), ("kallsyms_num_syms", 0x6000), ("kallsyms_relative_base", 0x6008), ("kallsyms_names", 0x6100),
      ("kallsyms_offsets", 0x7000), ("kallsyms_token_index", 0x7800), ("kallsyms_token_table", 0x7a00),
    ]
    let all = symbols + (TinyKernel.functions + TinyKernel.variables).filter { more.contains($0.name) }.map { ($0.name, $0.at) }
    lines =
      ["OSRELEASE=6.1.0-tiny", "PAGESIZE=\(pageSize)"] + all.map { "SYMBOL(\($0.0))=\(String(place($0.1), radix: 16))" }
    let info = lines.joined(separator: "\n") + "\n"
    var registers = ByteWriter()
    registers.zeros(112)
    for index in 0..<27 {
      registers.u64(index == 16 ? place(0x1220) : index == 19 ? place(TinyKernel.stacks[1]) : index == 17 ? 0x10 : 0)
    }
    registers.zeros(8)
    notes = [
      DumpNote(name: "CORE", type: 1, descriptor: registers.bytes),
      DumpNote(name: "VMCOREINFO", type: 0, descriptor: Array(info.utf8)),
    ]
  }
}
