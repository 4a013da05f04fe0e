internal import CrashedKernel
internal import DumpBasics
internal import DumpSource

/// The crashed kernel with names and types: what all parts of a report read it through.
///
/// Whatever is missing (no kallsyms, no BTF) costs what needs it and nothing else: accessors give nil.
final class KernelView {
  let kernel: CrashedKernel
  let memory: KernelMemory
  let info: VMCoreInfo
  let names: KallsymsTable?
  let types: TypeTable?
  /// What could not be had, and why: lines of the report.
  private(set) var notes: [String] = []
  /// Whether a list of the kernel is not all there, or the dump itself is not.
  var isPartial: Bool
  /// Entries of lists that may still be looked at. Of one list there is a limit each; a damaged or crafted
  /// dump can have as many lists as it has entries.
  var listSteps = 1 << 22
  /// Symbols of modules that may still be kept.
  var moduleSymbols = 1 << 21
  private let isOver: () -> Bool
  private var isCut = false
  /// `structure.path` → the member; nil where there is none.
  private var members: [String: TypeTable.Member?] = [:]

  /// Nil only where there is no way to the kernel's memory at all. `isOver`: whether the time for it is up.
  init?(_ kernel: CrashedKernel, isOver: @escaping () -> Bool) {
    guard let info = kernel.vmcoreinfo, let memory = kernel.memory?.separate(recording: false) else { return nil }
    self.kernel = kernel
    self.memory = memory
    self.info = info
    self.isOver = isOver
    isPartial = kernel.source.shortfall != nil
    names = KallsymsTable(info, memory, wanted: WantedNames.symbols, isOver: isOver)
    var types: TypeTable?
    if let names, let start = names.address(of: "__start_BTF"), let end = names.address(of: "__stop_BTF"), end > start,
      end - start <= UInt64(TypeTable.sizeLimit)
    {
      types = TypeTable(
        TableBytes(memory, start, count: Int(end - start)), names: WantedNames.types + LayoutWitness.names(info), isOver: isOver)
    }
    self.types = types
    if names == nil {
      note("no names: the kernel's kallsyms can't be reached from VMCOREINFO, or contradicts it")
    } else if types == nil {
      note(
        "no types: the kernel has no BTF, or it can't be read, or its names are those of functions alone"
          + " (no CONFIG_KALLSYMS_ALL)")
    } else if types?.isWhole == false {
      note("the kernel's types are damaged: those behind number \(types?.count ?? 0) are missing")
    }
    if let lost = names?.lostNames, lost > 0 { note("\(lost) names of functions and variables are lost to damage") }
    if let shortfall = kernel.source.shortfall { note(KernelView.text(shortfall)) }
  }

  /// What it means that a dump ends too early.
  static func text(_ shortfall: Shortfall) -> String {
    "the dump is cut: \(humanBytes(shortfall.present)) of \(humanBytes(shortfall.expected)) are there. "
      + "What lay behind the cut is missing below, and counts are of what is left"
  }

  /// Adds a line about what is missing; each line once, and not too many.
  func note(_ line: String) {
    if notes.contains(line) { return }
    if notes.count < 64 { notes.append(line) } else if notes.count == 64 { notes.append("… and more of the kind") }
  }

  /// Whether to stop with what there is. Says so once.
  var isTimeUp: Bool {
    if isCut { return true }
    if isOver() {
      isCut = true
      note("the time for the report was up: what follows in it is missing")
    }
    return isCut
  }

  // MARK: memory; nil where it can't be read

  func u64(_ address: UInt64) -> UInt64? { try? memory.u64(VirtualAddress(address)) }
  func u32(_ address: UInt64) -> UInt32? { try? memory.u32(VirtualAddress(address)) }
  func bytes(_ address: UInt64, _ count: Int) -> [UInt8]? { try? memory.read(VirtualAddress(address), count: count) }

  /// An integer of 1, 2, 4 or 8 bytes.
  func integer(_ address: UInt64, _ size: Int) -> UInt64? {
    switch size {
    case 8: u64(address)
    case 4: u32(address).map { UInt64($0) }
    case 1, 2: bytes(address, size).flatMap { ByteReader($0, memory.byteOrder).load(0, size) }
    default: nil
    }
  }

  /// A C string, printable and cut.
  func text(_ address: UInt64, limit: Int) -> String? {
    if !isKernelAddress(address) { return nil }
    // A string may end right before memory that is not there.
    let toPageEnd = Int(4096 - address & 4095)
    guard let start = bytes(address, min(limit, toPageEnd)) else { return nil }
    if start.contains(0) || limit <= toPageEnd { return cleanText(start.prefix { $0 != 0 }) }
    let rest = bytes(address &+ UInt64(toPageEnd), limit - toPageEnd) ?? []
    return cleanText((start + rest).prefix { $0 != 0 })
  }

  // MARK: names

  /// The address of a variable or function.
  func symbol(_ name: String) -> UInt64? { info.symbol(name)?.rawValue ?? names?.address(of: name) }

  /// The address of a variable that every kernel of the usual configuration has. Without it `what` is missing
  /// in the report, and that is said. A kernel whose names are those of functions alone has said so already.
  func symbol(_ name: String, for what: String) -> UInt64? {
    let address = symbol(name)
    if address == nil, names != nil, symbol("init_task") != nil { note("no \(what): the kernel's names have no \(name)") }
    return address
  }

  /// Where CPU `cpu` has its copy of a per-CPU variable.
  func perCPU(_ name: String, _ cpu: Int) -> UInt64? {
    guard let variable = symbol(name), let offsets = symbol("__per_cpu_offset"),
      let offset = u64(offsets &+ UInt64(cpu) &* 8)
    else { return nil }
    return variable &+ offset
  }

  // MARK: members

  func member(_ structure: String, _ path: String) -> TypeTable.Member? {
    let key = structure + "." + path
    if let known = members[key] { return known }
    let found = types?.member(structure, path)
    members[key] = .some(found)
    return found
  }

  /// Byte offset of a member.
  func offset(_ structure: String, _ path: String) -> UInt64? { member(structure, path).map { UInt64($0.offset) } }

  /// The value of an integer or pointer member of the structure at `address`.
  func value(_ address: UInt64, _ structure: String, _ path: String) -> UInt64? {
    guard let member = member(structure, path), let size = types?.size(member.type) else { return nil }
    if member.bits == 0 { return integer(address &+ UInt64(member.offset), size) }
    // A bit field: within 8 bytes from the byte that it begins in.
    guard member.bits < 57, let word = u64(address &+ UInt64(member.bitOffset / 8)) else { return nil }
    return word >> UInt64(member.bitOffset % 8) & (1 << UInt64(member.bits) - 1)
  }

  func size(_ structure: String) -> UInt64? {
    types?.type(named: structure).flatMap { types?.size($0) }.map { UInt64($0) }
  }

  func enumerators(_ name: String) -> [(name: String, value: Int64)] {
    types?.type(named: name).flatMap { types?.enumerators($0) } ?? []
  }
}

/// Whether `address` is in the kernel's half: with five-level page tables that begins at 0xff00000000000000.
func isKernelAddress(_ address: UInt64) -> Bool { address >> 56 == 0xff }
