public import DumpBasics

/// Looks symbols up in the kernel's own table of them, kallsyms, to which VMCOREINFO leads since Linux 6.0 (kernel/vmcore_info.c,
/// before 6.9 kernel/crash_core.c). Variables are in it with CONFIG_KALLSYMS_ALL, which distributions set.
///
/// The names are packed (scripts/kallsyms.c): for each symbol a length, then as many numbers of tokens; the first
/// character of what they spell is the symbol's type. Lengths from 128 on take two bytes, since 6.1.
public enum KernelSymbols {
  /// Kernels have 90,000 to 400,000.
  private static let mostSymbols: UInt32 = 1 << 22
  private static let tokenCount = 256
  /// Bytes of all tokens; each is NUL-terminated. Real tables have about 1000.
  private static let tokenTableSize = 16 << 10

  /// Addresses of those of `names` that were found. Empty where the table is missing, damaged, or of a kind that is not
  /// known: it is believed only if it leads to the address that VMCOREINFO gives for `init_uts_ns`.
  public static func find(_ names: [String], _ info: VMCoreInfo, _ memory: KernelMemory) -> [String: VirtualAddress] {
    let probe = "init_uts_ns"
    guard let expected = info.symbol(probe), let table = SymbolTable(info, memory) else { return [:] }
    let found = table.indices(of: names + [probe])
    guard let probeIndex = found[probe],
      let form = AddressForm.allCases.first(where: { table.address(probeIndex, $0) == expected })
    else { return [:] }
    return found.compactMapValues { table.address($0, form) }
  }

  /// How a symbol's address follows from its 32-bit offset.
  private enum AddressForm: CaseIterable {
    /// CONFIG_KALLSYMS_ABSOLUTE_PERCPU: negative ones count down from the base, others are addresses (x86_64 up to 6.14).
    case negativeFromBase
    /// From the base upwards.
    case fromBase
    /// From the offset's own place (since 7.2).
    case fromPlace
  }

  private struct SymbolTable {
    let memory: KernelMemory
    let count: Int
    let names: VirtualAddress
    let offsets: VirtualAddress
    let base: UInt64?
    /// The tokens' text, one after the other; token n is `bounds[n]`.
    let text: [UInt8]
    let bounds: [Range<Int>]

    init?(_ info: VMCoreInfo, _ memory: KernelMemory) {
      guard let number = info.symbol("kallsyms_num_syms"), let names = info.symbol("kallsyms_names"),
        let offsets = info.symbol("kallsyms_offsets"), let tokenTable = info.symbol("kallsyms_token_table"),
        let tokenIndex = info.symbol("kallsyms_token_index"),
        let count = try? memory.u32(number), (1...mostSymbols).contains(count),
        let starts = try? memory.read(tokenIndex, count: 2 * tokenCount),
        // The table may end right before a page that is not mapped.
        let text = (try? memory.read(tokenTable, count: tokenTableSize)) ?? (try? memory.read(tokenTable, count: 1024))
      else { return nil }
      let reader = ByteReader(starts, memory.byteOrder)
      var bounds: [Range<Int>] = []
      for token in 0..<tokenCount {
        guard let start = reader.u16(2 * token).map({ Int($0) }), start < text.count,
          let end = text[start...].firstIndex(of: 0)
        else { return nil }
        bounds.append(start..<end)
      }
      self.memory = memory
      self.count = Int(count)
      self.names = names
      self.offsets = offsets
      base = info.symbol("kallsyms_relative_base").flatMap { try? memory.u64($0) }
      self.text = text
      self.bounds = bounds
    }

    /// The first symbol of each name; ends early when all are found.
    func indices(of names: [String]) -> [String: Int] {
      let wanted = names.map { Array($0.utf8) }
      var lengths = Set(wanted.map { $0.count + 1 })
      var found: [String: Int] = [:]
      // Real names take 13 to 18 bytes each. A table that is damaged must not be followed through all of memory.
      var stream = ByteStream(memory, self.names, limit: 64 * count + 4096)
      var tokens: [Int] = []
      for symbol in 0..<count where found.count < names.count {
        guard var length = stream.next() else { break }
        if length & 0x80 != 0 {
          guard let high = stream.next() else { break }
          length = length & 0x7f | high << 7
        }
        tokens.removeAll(keepingCapacity: true)
        var size = 0
        for _ in 0..<length {
          guard let token = stream.next() else { return found }
          tokens.append(token)
          size += bounds[token].count
        }
        guard lengths.contains(size) else { continue }
        let name = tokens.flatMap { text[bounds[$0]] }.dropFirst()
        if let index = wanted.firstIndex(where: { $0.elementsEqual(name) }), found[names[index]] == nil {
          found[names[index]] = symbol
          lengths = Set(zip(names, wanted).filter { found[$0.0] == nil }.map { $0.1.count + 1 })
        }
      }
      return found
    }

    func address(_ index: Int, _ form: AddressForm) -> VirtualAddress? {
      guard let place = offsets.advanced(by: UInt64(index) * 4), let offset = try? memory.u32(place) else { return nil }
      let signed = UInt64(bitPattern: Int64(Int32(bitPattern: offset)))
      // All of these wrap, as the kernel's own arithmetic does.
      switch form {
      case .negativeFromBase:
        guard let base else { return nil }
        return VirtualAddress(offset >> 31 == 1 ? base &- 1 &- signed : UInt64(offset))
      case .fromBase: return base.map { VirtualAddress($0 &+ UInt64(offset)) }
      case .fromPlace: return VirtualAddress(place.rawValue &+ signed)
      }
    }
  }

  /// Bytes from an address on, read in pieces.
  private struct ByteStream {
    private let memory: KernelMemory
    private var address: VirtualAddress?
    private var piece: [UInt8] = []
    private var position = 0
    private var left: Int

    init(_ memory: KernelMemory, _ address: VirtualAddress, limit: Int) {
      self.memory = memory
      self.address = address
      left = limit
    }

    /// Nil where nothing can be read, and at the limit, roughly.
    mutating func next() -> Int? {
      if position == piece.count {
        left -= piece.count
        guard left > 0, let start = address else { return nil }
        // Up to the end of the page: the next one may not be there.
        let page = memory.pageSize.bytes
        let count = page - start.rawValue % page
        guard let read = try? memory.read(start, count: Int(count)) else { return nil }
        piece = read
        position = 0
        address = start.advanced(by: count)
      }
      position += 1
      return Int(piece[position - 1])
    }
  }
}
