/// What the kernel keeps in memory about its memory: mem_section, pglist_data with its zones, page tables, a
/// few variables.
struct KernelStructures: Sendable {
  let bytes: KernelBytes
  /// Physical address of the table of section roots: what SYMBOL(mem_section) is the address of, in the
  /// direct map.
  let sectionRoots: UInt64
  /// Physical addresses of struct pglist_data, by node.
  let nodes: [UInt64]
  /// The tables of 4 KiB pages of vmemmap: one page for each section with a map, computed on demand.
  let smallMapTables: Range<UInt64>
  /// 4096 / SIZE(mem_section).
  static let sectionsPerRoot: UInt64 = 256

  static func sectionRootCount(_ physicalMemoryBits: Int) -> Int { 1 << (physicalMemoryBits - 27 - 8) }

  /// Pages needed for all this: generously, since nothing is stored for what stays zero.
  static func arenaPages(_ configuration: SyntheticMachineConfiguration) -> (_ sections: UInt64) -> UInt64 {
    let roots =
      UInt64(
        sectionRootCount(
          MachineAddresses.physicalMemoryBits(configuration.architecture, levels: configuration.pageTableLevels))) * 8 / 4096 + 1
    let gigabytes = configuration.memory >> 30
    // Direct map: a table of 2 MiB pages for each fourth GiB, upper levels; and for vmemmap and image.
    let tables = gigabytes / 4 + gigabytes / 512 + 32
    return { sections in
      roots + 2 * sections / sectionsPerRoot + 8 + sections + sections / 512 + UInt64(configuration.nodes) * 64 + tables
    }
  }

  init(_ plan: MachinePlan, _ addresses: MachineAddresses) {
    var bytes = KernelBytes(arena: plan.arena)
    let configuration = plan.configuration
    let generation = configuration.generation
    sectionRoots = bytes.allocate(KernelStructures.sectionRootCount(addresses.physicalMemoryBits) * 8)
    KernelStructures.writeSections(plan, addresses, roots: sectionRoots, &bytes)
    nodes = plan.nodeSpans.indices.map { node in
      KernelStructures.writeNode(node, plan, addresses, &bytes)
    }
    for (node, address) in nodes.enumerated() {
      bytes.store(addresses.direct(address), at: addresses.imagePhysical(of: addresses.nodeData) + UInt64(node * 8))
    }
    bytes.store((1 << UInt64(nodes.count)) - 1, at: addresses.imagePhysical(of: addresses.nodeOnlineMap))
    if configuration.architecture == .arm64 { SyntheticSymbols(addresses, generation).write(&bytes) }
    KernelStructures.writeRelease(configuration, at: addresses.imagePhysical(of: addresses.utsNamespace), &bytes)

    let sections = plan.sections.reduce(0) { $0 + UInt64($1.sections.count) }
    let tables = bytes.reserve(pages: sections)
    smallMapTables = tables..<tables + sections * 4096
    let writer = PageTableWriter(addresses)
    writer.mapImage(addresses, &bytes)
    writer.mapDirect(plan, addresses, &bytes)
    if plan.configuration.pageMap != .separate { writer.mapPageMap(plan, addresses, tables: tables, &bytes) }
    self.bytes = bytes
  }

  /// struct mem_section (include/linux/mmzone.h): the encoded map with its flags, then `usage`. Flags:
  /// present, has a map, online, early (SECTION_IS_EARLY 5.3).
  private static func writeSections(
    _ plan: MachinePlan, _ addresses: MachineAddresses, roots: UInt64, _ bytes: inout KernelBytes
  ) {
    for run in plan.sections {
      for section in run.sections {
        let slot = roots + section / sectionsPerRoot * 8
        if bytes.load(slot) == 0 { bytes.store(addresses.direct(bytes.allocate(4096)), at: slot) }
        let entry = bytes.load(slot) - addresses.directMap + section % sectionsPerRoot * 16
        let encoded = plan.pageMapAddress(ofSection: section, addresses) &- section * MachinePlan.pageMapSection
        bytes.store(encoded | 0xf, at: entry)
        bytes.store(addresses.direct(roots) + 0x40 * section, at: entry + 8)
      }
    }
  }

  /// Zones without memory keep zeros, also for list heads: init_currently_empty_zone (mm/mm_init.c) is not
  /// called for them.
  private static func writeNode(
    _ node: Int, _ plan: MachinePlan, _ addresses: MachineAddresses, _ bytes: inout KernelBytes
  ) -> UInt64 {
    let layout = plan.configuration.generation.zoneLayout(plan.configuration.architecture)
    let base = bytes.allocate(layout.pglistData, alignment: 64)
    let zones = plan.zones.filter { $0.node == node }
    let span = plan.nodeSpans[node]
    let field = { base + UInt64($0 as Int) }
    bytes.store(UInt64((zones.map(\.type).max() ?? -1) + 1), at: field(layout.nrZones), size: 4)
    bytes.store(span.lowerBound, at: field(layout.nodeStart))
    bytes.store(zones.reduce(0) { $0 + $1.presentPages }, at: field(layout.nodePresent))
    bytes.store(UInt64(span.count), at: field(layout.nodeSpanned))
    bytes.store(UInt64(node), at: field(layout.nodeID), size: 4)
    for zone in zones {
      let start = base + UInt64(zone.type * layout.zone)
      let value = { start + UInt64($0 as Int) }
      bytes.store(zone.span.lowerBound, at: value(layout.zoneStart))
      bytes.store(zone.presentPages, at: value(layout.managedPages))
      bytes.store(UInt64(zone.span.count), at: value(layout.spannedPages))
      bytes.store(zone.presentPages, at: value(layout.presentPages))
      // NR_FREE_PAGES is item 0 of enum zone_stat_item.
      bytes.store(zone.freePages, at: value(layout.vmStat))
      for order in 0..<BlockPattern.orders {
        for type in 0..<layout.freeLists {
          let head = base + UInt64(layout.listHead(zone: zone.type, order: order, migrateType: type))
          let list = order * 8 + type
          let next = zone.firstHead(list).map { plan.listAddress($0, addresses) } ?? addresses.direct(head)
          let previous = zone.lastHead(list).map { plan.listAddress($0, addresses) } ?? addresses.direct(head)
          bytes.store(next, at: head)
          bytes.store(previous, at: head + 8)
        }
        let area = start + UInt64(layout.freeArea + order * layout.freeAreaSize)
        bytes.store(zone.freeChunks(order: order), at: area + UInt64(layout.nrFree))
      }
    }
    return base
  }

  /// struct new_utsname: six strings of 65 bytes, the third is the release (include/uapi/linux/utsname.h).
  /// Before 5.11 a reference count of 4 bytes came first.
  private static func writeRelease(
    _ configuration: SyntheticMachineConfiguration, at address: UInt64, _ bytes: inout KernelBytes
  ) {
    let name = address + (configuration.generation == .v5_10 ? 4 : 0)
    let machine = configuration.architecture == .arm64 ? "aarch64" : "x86_64"
    let release = configuration.generation.osRelease(configuration.architecture)
    let texts = ["Linux", "synthetic", release, "#1 SMP", machine, "(none)"]
    for (index, text) in texts.enumerated() { bytes.store(text, at: name + UInt64(index * 65)) }
  }
}

extension MachinePlan {
  /// The virtual address of a section's first struct page.
  func pageMapAddress(ofSection section: UInt64, _ addresses: MachineAddresses) -> UInt64 {
    guard configuration.pageMap == .separate else { return addresses.vmemmap + section * MachinePlan.pageMapSection }
    return pageMap(ofSection: section).map { addresses.direct($0) } ?? 0
  }

  /// The virtual address of a struct page.
  func pageAddress(_ frame: UInt64, _ addresses: MachineAddresses) -> UInt64 {
    if configuration.pageMap != .separate { return addresses.vmemmap + frame * 64 }
    return pageMapAddress(ofSection: frame / MachinePlan.sectionPages, addresses)
      + frame % MachinePlan.sectionPages * 64
  }

  /// `&page->lru`, which links a free chunk into its list.
  func listAddress(_ frame: UInt64, _ addresses: MachineAddresses) -> UInt64 { pageAddress(frame, addresses) + 8 }
}
