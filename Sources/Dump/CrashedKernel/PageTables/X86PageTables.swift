internal import DumpBasics

/// The page tables of x86_64, of four or five levels.
///
/// Intel SDM vol. 3, 4.5; the kernel's own root is `init_top_pgt` (`init_level4_pgt` before 4.13), which maps
/// the whole kernel half: text, direct map, vmalloc, vmemmap.
struct X86PageTables: AddressTranslation {
  /// __START_KERNEL_map, arch/x86/include/asm/page_64_types.h: kernel text and data are mapped from here on,
  /// moved by `phys_base`.
  static let kernelMap: UInt64 = 0xffff_ffff_8000_0000

  private let root: UInt64
  /// Index shifts from the root down.
  private let shifts: [UInt64]
  /// The bits of an entry that are an address: 12 to 51, less AMD's memory encryption bit.
  private let addressMask: UInt64

  init(_ info: VMCoreInfo) throws(DumpError) {
    let table = try info.requireSymbol(info.symbol("init_level4_pgt") == nil ? "init_top_pgt" : "init_level4_pgt")
    // NUMBER(phys_base) is there since 4.10 and may be negative.
    let base = try info.requireNumber("phys_base")
    let (offset, below) = table.rawValue.subtractingReportingOverflow(X86PageTables.kernelMap)
    let physical = Int64(truncatingIfNeeded: offset).addingReportingOverflow(base)
    guard !below, !physical.overflow, physical.partialValue >= 0, physical.partialValue < 1 << 52,
      physical.partialValue & 0xfff == 0
    else {
      throw DumpError(
        "SYMBOL(init_top_pgt)=\(table) and NUMBER(phys_base)=\(base) lead to no page", at: "VMCOREINFO")
    }
    root = UInt64(physical.partialValue)
    // NUMBER(pgtable_l5_enabled) since 4.17, NUMBER(sme_mask) since 5.1: without them there was neither.
    shifts = (info.number("pgtable_l5_enabled") ?? 0) != 0 ? [48, 39, 30, 21, 12] : [39, 30, 21, 12]
    addressMask = 0x000f_ffff_ffff_f000 & ~(info.word("sme_mask") ?? 0)
  }

  func translate(_ address: VirtualAddress, readEntry: (PhysicalAddress) throws(DumpError) -> UInt64)
    throws(DumpError) -> MappedMemory
  {
    let virtual = address.rawValue
    // Bits above the root's index repeat its highest bit ("canonical").
    let unused = Int64(bitPattern: virtual) >> Int64((shifts.first ?? 39) + 8)
    guard unused == 0 || unused == -1 else {
      throw DumpError("\(address) is no address of this kernel", at: "\(shifts.count)-level page tables")
    }
    var table = root
    for shift in shifts {
      // `table` is page-aligned and the index below 512: no overflow.
      let entry = try readEntry(PhysicalAddress(table + (virtual >> shift & 511) * 8))
      switch self.entry(entry, shift: shift) {
      case .nothing: throw DumpError("nothing is mapped at \(address)", at: "page table \(hex(table))")
      case .memory(let start):
        let within = virtual & ((1 << shift) - 1)
        return MappedMemory(PhysicalAddress(start | within), count: (1 << shift) - within)
      case .table(let next): table = next
      }
    }
    // The last level always returned above.
    throw DumpError("nothing is mapped at \(address)")
  }

  /// Bit 0: present. Bit 7 on the 1 GiB and 2 MiB levels: a large page, with other flags in the address bits
  /// below it.
  func entry(_ word: UInt64, shift: UInt64) -> PageTableEntry {
    guard word & 1 != 0 else { return .nothing }
    let isLeaf = shift == 12 || ((shift == 30 || shift == 21) && word & 0x80 != 0)
    return isLeaf ? .memory(word & addressMask & ~((1 << shift) - 1)) : .table(word & addressMask)
  }

  /// The kernel has the upper half. CPU_ENTRY_AREA_BASE and P4D_SIZE:
  /// arch/x86/include/asm/pgtable_64_types.h, since 4.15.
  var shape: PageTableShape? {
    PageTableShape(
      root: root, shifts: shifts, rootEntries: 256..<512, entries: 512, upperBits: ~0 << ((shifts.first ?? 39) + 9),
      processorPages: 0xffff_fe00_0000_0000..<0xffff_fe80_0000_0000)
  }
}
