internal import DumpBasics

/// The VMCOREINFO note: the keys in the order of kernel/crash_core.c (kernel/vmcore_info.c since 6.9), then
/// arch/x86/kernel/crash_core_64.c or
/// arch/arm64/kernel/vmcore_info.c. Which kernel has which keys was taken from real dumps of 5.10, 6.1, 6.12
/// and 7.2.
struct VMCoreInfoText {
  private var lines: [String] = []
  private let generation: KernelGeneration
  private let addresses: MachineAddresses

  static func make(
    _ configuration: SyntheticMachineConfiguration, _ addresses: MachineAddresses, sectionRoots: UInt64
  ) -> String {
    var text = VMCoreInfoText(generation: configuration.generation, addresses: addresses)
    text.addKernel(sectionRoots)
    text.addPage()
    text.addZones()
    text.addLog()
    text.addNumbers()
    text.addSymbolTable()
    text.addArchitecture()
    return text.lines.joined(separator: "\n") + "\n"
  }

  private init(generation: KernelGeneration, addresses: MachineAddresses) {
    self.generation = generation
    self.addresses = addresses
  }

  private mutating func add(_ key: String, _ value: some CustomStringConvertible) { lines.append("\(key)=\(value)") }
  private mutating func symbol(_ name: String, _ address: UInt64) { add("SYMBOL(\(name))", String(address, radix: 16)) }
  private mutating func size(_ name: String, _ value: Int) { add("SIZE(\(name))", value) }
  private mutating func offset(_ name: String, _ value: Int) { add("OFFSET(\(name))", value) }
  private mutating func length(_ name: String, _ value: Int) { add("LENGTH(\(name))", value) }
  private mutating func number(_ name: String, _ value: some CustomStringConvertible) { add("NUMBER(\(name))", value) }
  /// VMCOREINFO_NUMBER prints a page type as a signed number of 32 bits.
  private mutating func type(_ name: String, _ value: UInt32?) {
    if let value { number("PAGE_\(name)_MAPCOUNT_VALUE", Int32(bitPattern: value)) }
  }

  private mutating func addKernel(_ sectionRoots: UInt64) {
    add("OSRELEASE", generation.osRelease(addresses.architecture))
    add("BUILD-ID", "5f3759df5f3759df5f3759df5f3759df5f3759df")
    add("PAGESIZE", 4096)
    symbol("init_uts_ns", addresses.utsNamespace)
    if generation != .v5_10 { offset("uts_namespace.name", 0) }
    symbol("node_online_map", addresses.nodeOnlineMap)
    symbol("swapper_pg_dir", addresses.rootTable)
    symbol("_stext", addresses.text)
    if generation.isSince(.v6_9) {
      let onX86: UInt64 = addresses.levels == 5 ? 0xffa0_0000_0000_0000 : 0xffff_c900_0000_0000
      let vmalloc = addresses.architecture == .arm64 ? 0xffff_8000_8000_0000 : onX86
      number("VMALLOC_START", "0x" + String(vmalloc, radix: 16))
      symbol("vmemmap", addresses.vmemmap)
    } else {
      symbol("vmap_area_list", addresses.text + 0x153_0000)
    }
    symbol("mem_section", addresses.direct(sectionRoots))
    length("mem_section", KernelStructures.sectionRootCount(addresses.physicalMemoryBits))
    size("mem_section", 16)
    offset("mem_section.section_mem_map", 0)
    number("SECTION_SIZE_BITS", 27)
    number("MAX_PHYSMEM_BITS", addresses.physicalMemoryBits)
  }

  private mutating func addPage() {
    size("page", 64)
    offset("page.flags", 0)
    offset("page._refcount", 52)
    offset("page.mapping", 24)
    offset("page.lru", 8)
    offset("page._mapcount", 48)
    offset("page.private", 40)
    switch generation {
    case .v5_10, .v6_1:
      offset("page.compound_dtor", 16)
      offset("page.compound_order", 17)
    case .v6_3:
      // struct folio begins at the head, these members lie in the first tail.
      offset("folio._folio_dtor", 64 + 16)
      offset("folio._folio_order", 64 + 17)
    default: break
    }
    offset(generation.isSince(.v7_1) ? "page.compound_info" : "page.compound_head", 8)
  }

  private mutating func addZones() {
    let layout = generation.zoneLayout(addresses.architecture)
    size("pglist_data", layout.pglistData)
    size("zone", layout.zone)
    size("free_area", layout.freeAreaSize)
    size("list_head", 16)
    size("nodemask_t", 128)
    offset("pglist_data.node_zones", 0)
    offset("pglist_data.nr_zones", layout.nrZones)
    offset("pglist_data.node_start_pfn", layout.nodeStart)
    offset("pglist_data.node_spanned_pages", layout.nodeSpanned)
    offset("pglist_data.node_id", layout.nodeID)
    offset("zone.free_area", layout.freeArea)
    offset("zone.vm_stat", layout.vmStat)
    offset("zone.spanned_pages", layout.spannedPages)
    offset("free_area.free_list", 0)
    offset("list_head.next", 0)
    offset("list_head.prev", 8)
    length("zone.free_area", BlockPattern.orders)
    length("free_area.free_list", layout.freeLists)
  }

  /// The machine has no log: its ring is zeros.
  private mutating func addLog() {
    symbol("prb", addresses.printkRing)
    symbol("printk_rb_static", addresses.printkRing + 0x20)
    symbol("clear_seq", addresses.printkRing + 0x400)
  }

  private mutating func addNumbers() {
    let flags = generation.flags
    let types = generation.types
    number("NR_FREE_PAGES", 0)
    number("PG_lru", flags.lru)
    number("PG_private", flags.privateData)
    number("PG_swapcache", flags.swapcache)
    number("PG_swapbacked", flags.swapbacked)
    if let slab = flags.slab { number("PG_slab", slab) }
    type("SLAB", types.slab)
    number("PG_hwpoison", flags.hwpoison)
    number("PG_head_mask", UInt64(1) << flags.head)
    type("BUDDY", types.buddy)
    switch generation.compoundOrder {
    case .bytes: number("HUGETLB_PAGE_DTOR", 2)
    case .flags(let hugetlb?): number("PG_hugetlb", hugetlb)
    case .flags(nil): type("HUGETLB", types.hugetlb)
    }
    type("OFFLINE", types.offline)
    if generation.hasUnaccepted { type("UNACCEPTED", types.unaccepted) }
  }

  /// Symbols for kallsyms since 6.0 (5fd8fea935a1); `kallsyms_relative_base` until 7.1. Only arm64 has a table
  /// behind them, see `SyntheticSymbols`.
  private mutating func addSymbolTable() {
    guard generation.isSince(.v6_1) else { return }
    var names = ["names", "num_syms", "token_table", "token_index", "offsets"]
    if !generation.isSince(.v7_2) { names.append("relative_base") }
    for (index, name) in names.enumerated() { symbol("kallsyms_\(name)", addresses.kallsyms + UInt64(index) * 0x1_0000) }
  }

  private mutating func addArchitecture() {
    if addresses.architecture == .arm64 { return addARM64() }
    number("phys_base", addresses.physBase)
    symbol("init_top_pgt", addresses.rootTable)
    number("pgtable_l5_enabled", addresses.levels == 5 ? 1 : 0)
    symbol("node_data", addresses.nodeData)
    length("node_data", 1024)
    add("KERNELOFFSET", String(addresses.kernelOffset, radix: 16))
    number("KERNEL_IMAGE_SIZE", 1 << 30)
    number("sme_mask", 0)
    add("CRASHTIME", 1_795_405_244)
  }

  /// Neither `node_data` nor a root of page tables besides `swapper_pg_dir`.
  private mutating func addARM64() {
    number("VA_BITS", 48)
    number("TCR_EL1_T1SZ", "0x10")
    number("kimage_voffset", "0x" + String(addresses.imageOffset, radix: 16))
    number("PHYS_OFFSET", "0x0")
    add("KERNELOFFSET", String(addresses.kernelOffset, radix: 16))
    add("CRASHTIME", 1_795_405_244)
  }
}
