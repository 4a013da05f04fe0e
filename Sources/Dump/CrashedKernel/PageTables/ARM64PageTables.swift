internal import DumpBasics

/// The page tables of arm64: granules of 4, 16 and 64 KiB, 36 to 52 bits of address, two to five levels.
///
/// Arm ARM D8 (VMSAv8-64), arch/arm64/include/asm/pgtable-hwdef.h, and for what VMCOREINFO says
/// arch/arm64/kernel/vmcore_info.c (crash_core.c before 6.9). The root is `swapper_pg_dir`.
struct ARM64PageTables: AddressTranslation {
  private let root: UInt64
  private let granule: UInt64
  /// Bits of virtual address that the processor translates.
  private let bits: UInt64
  private let levels: UInt64
  /// Index bits of the root table. A kernel built for 52 bits on a processor with 48 indexes as if it had 52,
  /// since the upper bits of a kernel address are all ones.
  private let rootBits: UInt64
  /// FEAT_LPA2: 52-bit physical addresses with 4 and 16 KiB pages, whose top bits stand where shareability
  /// was.
  private let lpa2: Bool

  init(_ info: VMCoreInfo, _ pageSize: PageSize) throws(DumpError) {
    granule = pageSize.shift
    // NUMBER(VA_BITS) since 4.12; NUMBER(TCR_EL1_T1SZ) since 5.9 tells what the processor really does.
    let built = try info.requireNumber("VA_BITS")
    let t1sz = info.number("TCR_EL1_T1SZ")
    if built == 52, t1sz == nil {
      throw DumpError(.unsupported, "a 52-bit kernel does not say NUMBER(TCR_EL1_T1SZ)", at: "VMCOREINFO")
    }
    let (actual, overflow) = Int64(64).subtractingReportingOverflow(t1sz ?? 64 &- built)
    guard !overflow, (36...52).contains(built), (36...52).contains(actual), actual <= built else {
      throw DumpError("VA_BITS=\(built), TCR_EL1_T1SZ=\(t1sz ?? 0) is no address size of arm64", at: "VMCOREINFO")
    }
    bits = UInt64(actual)
    let perLevel = granule - 3
    let depth = { (bits: UInt64) in (bits - pageSize.shift + perLevel - 1) / perLevel }
    levels = depth(bits)
    let indexed = depth(UInt64(built)) == levels ? UInt64(built) : granule + levels * perLevel
    rootBits = indexed - (granule + (levels - 1) * perLevel)
    lpa2 = bits == 52 && granule != 16
    // Symbols are in the kernel image, which is mapped at its physical address plus kimage_voffset (since
    // 4.12).
    let table = try info.requireSymbol("swapper_pg_dir")
    _ = try info.requireNumber("kimage_voffset")
    root = table.rawValue &- (info.word("kimage_voffset") ?? 0)
    guard root < 1 << 52, root & 63 == 0 else {
      throw DumpError("SYMBOL(swapper_pg_dir) and NUMBER(kimage_voffset) lead to no table", at: "VMCOREINFO")
    }
  }

  func translate(_ address: VirtualAddress, readEntry: (PhysicalAddress) throws(DumpError) -> UInt64)
    throws(DumpError) -> MappedMemory
  {
    let virtual = address.rawValue
    // The top byte may be a tag (KASAN); below it, kernel addresses have ones.
    let upper = (virtual | 0xff << 56) >> bits
    guard upper == UInt64.max >> bits else { throw DumpError("\(address) is no kernel address", at: "page tables") }
    var table = root
    for level in (0..<levels).reversed() {
      let shift = granule + level * (granule - 3)
      let indexBits = level == levels - 1 ? rootBits : granule - 3
      let index = virtual >> shift & ((1 << indexBits) - 1)
      // The index is below 2^16, the table below 2^52.
      let entry = try readEntry(PhysicalAddress(table + index * 8))
      switch self.entry(entry, shift: shift) {
      case .nothing: throw DumpError("nothing is mapped at \(address)", at: "page table \(hex(table))")
      case .memory(let start):
        let inside: UInt64 = (1 << shift) - 1
        return MappedMemory(PhysicalAddress(start | virtual & inside), count: inside - (virtual & inside) + 1)
      case .table(let next): table = next
      }
    }
    throw DumpError("nothing is mapped at \(address)")
  }

  /// Bit 0: valid. Bit 1: a table, or a page at the last level; clear: a block.
  func entry(_ word: UInt64, shift: UInt64) -> PageTableEntry {
    let kind = word & 3
    guard kind & 1 != 0, shift > granule || kind == 3 else { return .nothing }
    return shift == granule || kind == 1 ? .memory(physical(word) & ~((1 << shift) - 1)) : .table(physical(word))
  }

  /// The root holds the kernel's half alone.
  var shape: PageTableShape? {
    let perLevel = granule - 3
    return PageTableShape(
      root: root, shifts: (0..<levels).reversed().map { granule + $0 * perLevel }, rootEntries: 0..<1 << rootBits,
      entries: 1 << perLevel, upperBits: ~0 << (granule + (levels - 1) * perLevel + rootBits), processorPages: nil)
  }

  private func physical(_ entry: UInt64) -> UInt64 {
    let aligned = ~((UInt64(1) << granule) - 1)
    if granule == 16 { return entry & 0x0000_ffff_ffff_ffff & aligned | (entry >> 12 & 0xf) << 48 }
    if lpa2 { return entry & 0x0003_ffff_ffff_ffff & aligned | (entry >> 8 & 3) << 50 }
    return entry & 0x0000_ffff_ffff_ffff & aligned
  }
}
