internal import DumpBasics

/// kallsyms of the synthetic machine (scripts/kallsyms.c): its variables, and nothing packed, since token n is
/// the character n.
struct SyntheticSymbols {
  private let addresses: MachineAddresses
  private let generation: KernelGeneration

  init(_ addresses: MachineAddresses, _ generation: KernelGeneration) {
    self.addresses = addresses
    self.generation = generation
  }

  /// Ascending. What follows `node_data` says how long that is: 16 pointers.
  private var symbols: [(name: String, address: UInt64)] {
    [
      ("_stext", addresses.text), ("init_uts_ns", addresses.utsNamespace), ("node_data", addresses.nodeData),
      ("node_data_end", addresses.nodeData + 16 * 8),
    ]
  }

  /// VMCOREINFO's keys lead to these places (`VMCoreInfoText.addSymbolTable`).
  private func table(_ number: UInt64) -> UInt64 { addresses.imagePhysical(of: addresses.kallsyms + number * 0x1_0000) }

  func write(_ bytes: inout KernelBytes) {
    var cursor = table(0)
    for symbol in symbols {
      let text = Array("D\(symbol.name)".utf8)
      for byte in [UInt8(text.count)] + text {
        bytes.store(UInt64(byte), at: cursor, size: 1)
        cursor += 1
      }
    }
    bytes.store(UInt64(symbols.count), at: table(1), size: 4)
    // The text of token 0 is empty; each ends with a NUL.
    for token in UInt64(1)..<256 { bytes.store(token, at: table(2) + 2 * token - 1, size: 1) }
    for token in UInt64(1)..<256 { bytes.store(2 * token - 1, at: table(3) + 2 * token, size: 2) }
    for (index, symbol) in symbols.enumerated() {
      let place = addresses.kallsyms + 4 * 0x1_0000 + UInt64(index) * 4
      // Since 7.2 an offset counts from its own place.
      let base = generation.isSince(.v7_2) ? place : addresses.text
      bytes.store((symbol.address &- base) & 0xffff_ffff, at: table(4) + UInt64(index) * 4, size: 4)
    }
    bytes.store(addresses.text, at: table(5))
  }
}
