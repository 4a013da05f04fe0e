internal import CrashedKernel
internal import DumpBasics
internal import DumpSource

/// Where the structures are that a classifier reads, found by VMCOREINFO: the same for synthetic and real
/// dumps (x86_64, arm64 with pages of 4 KiB).
struct MutationTargets: Sendable {
  struct Section: Sendable {
    var number: UInt64
    /// Physical address of its struct mem_section.
    var entry: UInt64
    /// Virtual address of its map.
    var map: UInt64
  }
  struct Zone: Sendable {
    var node: Int
    var type: Int
    /// Virtual address of struct zone.
    var address: UInt64
    /// `zone_start_pfn`, `spanned_pages`.
    var frames: Range<UInt64>
  }

  let info: VMCoreInfo
  let memory: KernelMemory
  /// Virtual address of `node_data`.
  let nodeTable: UInt64
  let sections: [Section]
  /// Physical addresses of the root pointers that are used.
  let roots: [UInt64]
  /// Virtual addresses of struct pglist_data, by node.
  let nodes: [UInt64]
  let zones: [Zone]
  /// Frames that the dump holds and that have a struct page.
  let frames: [Range<UInt64>]
  /// Without vmemmap the section takes the node's place in `page.flags`.
  let pagesNameNode: Bool
  let pageSize: Int
  let freeLists: Int
  let orders: Int
  let areaSize: Int

  /// - Throws: where the dump is not as it should be: only undamaged ones can be damaged.
  init(_ source: any DumpSource) throws {
    let kernel = CrashedKernel(source)
    guard let info = kernel.vmcoreinfo, let kernelMemory = kernel.memory else {
      throw DumpError("no way to the kernel's memory", at: source.name)
    }
    let memory = kernelMemory.separate(recording: false)
    self.info = info
    self.memory = memory
    let found = try MutationTargets.sections(info, memory)
    sections = found.sections
    roots = found.roots
    guard let table = (info.symbol("node_data") ?? KernelSymbols.find(["node_data"], info, memory)["node_data"])?.rawValue else {
      throw DumpError("no way to the nodes", at: source.name)
    }
    nodeTable = table
    let online = try memory.u64(try info.requireSymbol("node_online_map"))
    nodes = try (0..<64).filter { online >> UInt64($0) & 1 != 0 }.map {
      try memory.u64(VirtualAddress(table + UInt64($0) * 8))
    }
    let zoneSize = try info.requireSize("zone")
    let spanned = try info.requireOffset("zone.spanned_pages")
    var zones: [Zone] = []
    for (node, address) in nodes.enumerated() {
      let count = try memory.u32(VirtualAddress(address + UInt64(try info.requireOffset("pglist_data.nr_zones"))))
      for type in 0..<min(Int(count), 8) {
        let zone = address + UInt64(type * zoneSize)
        let count = try memory.u64(VirtualAddress(zone + UInt64(spanned)))
        // zone_start_pfn, managed_pages, spanned_pages follow one another (include/linux/mmzone.h).
        let first = try memory.u64(VirtualAddress(zone + UInt64(spanned) - 16))
        if count > 0 { zones.append(Zone(node: node, type: type, address: zone, frames: first..<first + count)) }
      }
    }
    self.zones = zones
    pagesNameNode = Set(found.sections.map { $0.map &- $0.number << 15 * 64 }).count == 1
    let mapped = found.sections.map { $0.number << 15..<($0.number + 1) << 15 }
    frames = source.coverage().flatMap { piece in
      let range = (piece.range.start + 4095) >> 12..<max((piece.range.start + 4095) >> 12, piece.range.end >> 12)
      return mapped.map { $0.clamped(to: range) }.filter { !$0.isEmpty }
    }
    pageSize = try info.requireSize("page")
    freeLists = Int(info.length("free_area.free_list") ?? 5)
    orders = Int(info.length("zone.free_area") ?? 11)
    areaSize = try info.requireSize("free_area")
    guard !frames.isEmpty, !zones.isEmpty else { throw DumpError("no memory with a page map", at: source.name) }
  }

  private static func sections(_ info: VMCoreInfo, _ memory: KernelMemory) throws -> (sections: [Section], roots: [UInt64]) {
    let start = try info.requireSymbol("mem_section").rawValue
    let count = Int(min(info.length("mem_section") ?? 0, 1 << 20))
    let size = try info.requireSize("mem_section")
    var sections: [Section] = []
    var roots: [UInt64] = []
    let table = ByteReader(try memory.read(VirtualAddress(start), count: count * 8), .little)
    for root in 0..<count {
      guard let page = table.u64(root * 8), page != 0 else { continue }
      roots.append(try memory.translate(VirtualAddress(start + UInt64(root * 8))).rawValue)
      for index in 0..<4096 / size {
        let entry = VirtualAddress(page + UInt64(index * size))
        let encoded = try memory.u64(entry)
        if encoded & 1 == 0 { continue }
        let number = UInt64(root * (4096 / size) + index)
        sections.append(
          Section(number: number, entry: try memory.translate(entry).rawValue, map: (encoded & ~0xfff) &+ number << 15 * 64))
      }
    }
    return (sections, roots)
  }

  /// Physical address of the struct page of `frame`.
  func page(_ frame: UInt64) -> UInt64? {
    let index = sections.partitionPoint { $0.number < frame >> 15 }
    guard index < sections.count, sections[index].number == frame >> 15 else { return nil }
    return try? memory.translate(VirtualAddress(sections[index].map + (frame & 0x7fff) * UInt64(pageSize))).rawValue
  }

  func physical(_ address: UInt64) -> UInt64? { try? memory.translate(VirtualAddress(address)).rawValue }

  func load(_ physical: UInt64, _ count: Int) -> [UInt8]? {
    try? memory.read(physical: PhysicalAddress(physical), count: count)
  }

  func word(_ physical: UInt64) -> UInt64? { load(physical, 8).flatMap { ByteReader($0, .little).u64(0) } }

  /// Physical addresses of the page-table entries on the way to a virtual address.
  func pageTableEntries(_ address: UInt64) -> [UInt64] {
    let isARM = memory.architecture == .arm64
    var table: UInt64
    if isARM {
      // Images of 52 bits (LPA2) are not damaged so.
      guard let root = info.symbol("swapper_pg_dir"), let offset = info.word("kimage_voffset"), info.number("TCR_EL1_T1SZ") == 16
      else { return [] }
      table = root.rawValue &- offset
    } else {
      guard let root = info.symbol("init_top_pgt"), let base = info.number("phys_base") else { return [] }
      table = UInt64(bitPattern: Int64(bitPattern: root.rawValue &- 0xffff_ffff_8000_0000) &+ base)
    }
    var entries: [UInt64] = []
    for shift: UInt64 in (info.number("pgtable_l5_enabled") ?? 0) != 0 ? [48, 39, 30, 21, 12] : [39, 30, 21, 12] {
      let entry = table + (address >> shift & 511) * 8
      entries.append(entry)
      guard let value = word(entry), value & 1 != 0, isARM ? value & 2 != 0 : value & 0x80 == 0 else { break }
      table = value & 0x0000_ffff_ffff_f000
    }
    return entries
  }
}
