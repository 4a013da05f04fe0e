internal import DumpBasics

/// kallsyms of the synthetic machine (scripts/kallsyms.c): its variables, and nothing packed, since token n is
/// the character n.
public struct SyntheticSymbols {
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
      ("node_data_end", addresses.nodeData + 16 * 8), ("__per_cpu_start", addresses.text + 0x160_0000),
      ("__per_cpu_offset", processorOffsets), ("nr_cpu_ids", processorOffsets + 0x100),
      ("pcpu_unit_size", processorOffsets + 0x108),
    ]
  }

  private var processorOffsets: UInt64 { addresses.text + 0x161_0000 }
  /// Where the per-CPU areas of the two CPUs lie in memory, one behind the other.
  public static let processorUnits: UInt64 = 0x300_0000
  public static let processorUnitSize: UInt64 = 64 << 10

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
    let variables = addresses.imagePhysical(of: processorOffsets)
    for cpu in 0..<UInt64(2) {
      let unit = addresses.direct(SyntheticSymbols.processorUnits + cpu * SyntheticSymbols.processorUnitSize)
      bytes.store(unit &- (addresses.text + 0x160_0000), at: variables + cpu * 8)
    }
    bytes.store(2, at: variables + 0x100, size: 4)
    bytes.store(SyntheticSymbols.processorUnitSize, at: variables + 0x108, size: 4)
  }
}
