package import DumpBasics

/// Where the tables of kallsyms lie, and what is small of them: the tokens that its packed names are made of.
package struct KallsymsTables {
  /// Kernels have 90,000 to 400,000.
  private static let mostSymbols: UInt32 = 1 << 22
  private static let tokenCount = 256
  /// Bytes of all tokens; each is NUL-terminated. Real tables have about 1000.
  private static let tokenTableSize = 16 << 10

  /// How a symbol's address follows from its 32-bit offset.
  package enum AddressForm: CaseIterable {
    /// CONFIG_KALLSYMS_ABSOLUTE_PERCPU: negative ones count down from the base, others are addresses (x86_64
    /// up to 6.14).
    case negativeFromBase
    /// From the base upwards.
    case fromBase
    /// From the offset's own place (since 7.2).
    case fromPlace
  }

  let memory: KernelMemory
  /// Symbols.
  package let count: Int
  /// The packed names.
  package let names: VirtualAddress
  package let offsets: VirtualAddress
  package let base: UInt64?
  /// The tokens' text, one after the other; token n is `bounds[n]`.
  package let text: [UInt8]
  package let bounds: [Range<Int>]

  package init?(_ info: VMCoreInfo, _ memory: KernelMemory) {
    guard let number = info.symbol("kallsyms_num_syms"), let names = info.symbol("kallsyms_names"),
      let offsets = info.symbol("kallsyms_offsets"), let tokenTable = info.symbol("kallsyms_token_table"),
      let tokenIndex = info.symbol("kallsyms_token_index"),
      let count = try? memory.u32(number), (1...KallsymsTables.mostSymbols).contains(count),
      let starts = try? memory.read(tokenIndex, count: 2 * KallsymsTables.tokenCount),
      // The table may end right before a page that is not mapped.
      let text = (try? memory.read(tokenTable, count: KallsymsTables.tokenTableSize))
        ?? (try? memory.read(tokenTable, count: 1024)),
      let bounds = KallsymsTables.bounds(starts, text, memory.byteOrder)
    else { return nil }
    self.memory = memory
    self.count = Int(count)
    self.names = names
    self.offsets = offsets
    base = info.symbol("kallsyms_relative_base").flatMap { try? memory.u64($0) }
    self.text = text
    self.bounds = bounds
  }

  /// The same, of a kernel whose VMCOREINFO lacks the keys: the tables are looked for in its image. That
  /// takes a pass through tens of megabytes.
  package init?(searching info: VMCoreInfo, _ memory: KernelMemory) {
    guard info.symbol("kallsyms_names") == nil, let start = info.symbol("_stext"),
      let found = KallsymsSearch(memory: memory).find(from: start.rawValue), found.count <= KallsymsTables.mostSymbols,
      let bounds = KallsymsTables.bounds(found.starts, found.text, memory.byteOrder)
    else { return nil }
    self.memory = memory
    count = Int(found.count)
    names = VirtualAddress(found.names)
    offsets = VirtualAddress(found.offsets)
    base = found.base
    text = found.text
    self.bounds = bounds
  }

  /// Where each token stands in `text`, by the index table `starts`. Nil when one runs past the end.
  package static func bounds(_ starts: [UInt8], _ text: [UInt8], _ order: ByteOrder) -> [Range<Int>]? {
    let reader = ByteReader(starts, order)
    var bounds: [Range<Int>] = []
    for token in 0..<tokenCount {
      guard let start = reader.u16(2 * token).map({ Int($0) }), start < text.count,
        let end = text[start...].firstIndex(of: 0)
      else { return nil }
      bounds.append(start..<end)
    }
    return bounds
  }

  func address(_ index: Int, _ form: AddressForm) -> VirtualAddress? {
    guard let place = offsets.advanced(by: UInt64(index) * 4), let offset = try? memory.u32(place) else { return nil }
    return form.address(offset, base, place: place.rawValue).map(VirtualAddress.init)
  }

  /// The form by which symbol `index` has the address `expected`.
  func form(of index: Int, at expected: VirtualAddress) -> AddressForm? {
    AddressForm.allCases.first { address(index, $0) == expected }
  }
}

extension KallsymsTables.AddressForm {
  /// All of these wrap, as the kernel's own arithmetic does.
  package func address(_ offset: UInt32, _ base: UInt64?, place: UInt64) -> UInt64? {
    let signed = UInt64(bitPattern: Int64(Int32(bitPattern: offset)))
    switch self {
    case .negativeFromBase:
      guard let base else { return nil }
      return offset >> 31 == 1 ? base &- 1 &- signed : UInt64(offset)
    case .fromBase: return base.map { $0 &+ UInt64(offset) }
    case .fromPlace: return place &+ signed
    }
  }
}
