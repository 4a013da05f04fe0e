internal import CrashedKernel
internal import DumpBasics

/// One module that was loaded: where its code lies, its names, its unwind table.
final class LoadedModule {
  let name: String
  let address: UInt64
  /// Its pieces of memory, code among them.
  let ranges: [Range<UInt64>]
  private let symbols: UInt64
  private let symbolCount: Int
  private let strings: UInt64
  private(set) var orc: OrcTable?

  /// A module with more symbols than this is damaged.
  private static let symbolLimit: UInt64 = 1 << 18

  init?(_ view: KernelView, _ address: UInt64, _ form: OrcForm?) {
    guard let nameOffset = view.offset("module", "name"), let name = view.text(address &+ nameOffset, limit: 56), !name.isEmpty
    else { return nil }
    self.name = name
    self.address = address
    var ranges: [Range<UInt64>] = []
    func add(_ base: UInt64?, _ size: UInt64?) {
      guard let base, let size, size > 0, size < 1 << 30, isKernelAddress(base), base < .max - size else { return }
      ranges.append(base..<base + size)
    }
    if let memories = view.member("module", "mem"), let types = view.types,
      let (element, count) = types.array(types.bare(memories.type)),
      let each = types.size(element), let base = view.offset("module_memory", "base"),
      let size = view.offset("module_memory", "size")
    {
      // Since 6.4.
      for index in 0..<min(count, 16) {
        let place = address &+ UInt64(memories.offset + index * each)
        add(view.u64(place &+ base), view.u32(place &+ size).map { UInt64($0) })
      }
    } else {
      for layout in ["core_layout", "init_layout"] {
        add(view.value(address, "module", layout + ".base"), view.value(address, "module", layout + ".size"))
      }
    }
    self.ranges = ranges
    let table = view.value(address, "module", "kallsyms") ?? 0
    symbols = view.value(table, "mod_kallsyms", "symtab") ?? 0
    let count = view.value(table, "mod_kallsyms", "num_symtab") ?? 0
    symbolCount = count <= LoadedModule.symbolLimit ? Int(count) : 0
    strings = view.value(table, "mod_kallsyms", "strtab") ?? 0
    if let form, let count = view.value(address, "module", "arch.num_orcs"), count > 0, count < UInt64(OrcTable.countLimit),
      let places = view.value(address, "module", "arch.orc_unwind_ip"),
      let entries = view.value(address, "module", "arch.orc_unwind")
    {
      orc = OrcTable(
        places: TableBytes(view.memory, places, count: 4 * Int(count)), at: places,
        entries: TableBytes(view.memory, entries, count: 6 * Int(count)), form: form)
    }
  }

  func contains(_ address: UInt64) -> Bool { ranges.contains { $0.contains(address) } }

  /// The symbol that `address` lies in.
  func symbol(at address: UInt64, _ view: KernelView) -> (name: String, start: UInt64, size: UInt64)? {
    guard let range = ranges.first(where: { $0.contains(address) }) else { return nil }
    let table = table(view)
    let low = table.partitionPoint { $0.value <= address }
    let next = low < table.count ? min(range.upperBound, table[low].value) : range.upperBound
    // Of several at one address the first that has a name.
    var best: Symbol?
    for index in stride(from: low - 1, through: max(0, low - 64), by: -1) where range.contains(table[index].value) {
      if let best, best.value != table[index].value { break }
      // Names without letters and the compiler's own (`.L1`, `$x`) are none.
      let first = view.bytes(strings &+ UInt64(table[index].name), 1)?.first ?? 0
      if first != 0, first != UInt8(ascii: "."), first != UInt8(ascii: "$") { best = table[index] }
    }
    guard let best, let name = view.text(strings &+ UInt64(best.name), limit: 512) else { return nil }
    return (name, best.value, next - best.value)
  }

  /// Where the symbol of this name lies.
  func address(of name: String, _ view: KernelView) -> UInt64? {
    let wanted = Array(name.utf8) + [0]
    return table(view).first { view.bytes(strings &+ UInt64($0.name), wanted.count) == wanted }?.value
  }

  private struct Symbol {
    var value: UInt64
    var name: UInt32
  }
  private var known: [Symbol]?

  /// Its symbols by address. Elf64_Sym: name u32, info u8, other u8, section u16, value u64, size u64.
  private func table(_ view: KernelView) -> [Symbol] {
    if let known { return known }
    var found: [Symbol] = []
    if symbols != 0, symbolCount > 0, symbolCount <= view.moduleSymbols, let table = view.bytes(symbols, 24 * symbolCount) {
      view.moduleSymbols -= symbolCount
      let reader = ByteReader(table, view.memory.byteOrder)
      for index in 1..<max(symbolCount, 2) {
        guard let name = reader.u32(24 * index), let section = reader.u16(24 * index + 6), let value = reader.u64(24 * index + 8)
        else { break }
        if section != 0, contains(value) { found.append(Symbol(value: value, name: name)) }
      }
    } else if symbolCount > view.moduleSymbols {
      view.note("symbols of module \(name) are too many: its functions have no names")
    }
    let sorted = found.enumerated().sorted { ($0.element.value, $0.offset) < ($1.element.value, $1.offset) }.map(\.element)
    known = sorted
    return sorted
  }
}

/// All modules, by the kernel's list of them.
func loadedModules(_ view: KernelView, _ form: OrcForm?) -> [LoadedModule] {
  guard let head = view.symbol("modules"), let inside = view.offset("module", "list") else { return [] }
  return view.list(head, inside: inside, limit: 1024, of: "modules").compactMap { LoadedModule(view, $0, form) }
}
