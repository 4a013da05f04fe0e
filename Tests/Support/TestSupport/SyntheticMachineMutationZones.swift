internal import DumpBasics

// Damage to nodes, zones and free lists, and to what VMCOREINFO says of them.
extension MutationDraft {
  mutating func hitZone() {
    guard let zone = targets.zones.randomElement(using: &random) else { return }
    mutation.place = Mutation.Place(node: zone.node, zone: zone.type)
    let order = random.below(targets.orders)
    let fields: [(String, UInt64?)] = [
      ("vm_stat[NR_FREE_PAGES]", offset("zone.vm_stat").map { zone.address + $0 }),
      ("spanned_pages", offset("zone.spanned_pages").map { zone.address + $0 }),
      (
        "free_area[\(order)].nr_free",
        offset("zone.free_area").map {
          zone.address + $0 + UInt64(order * targets.areaSize + targets.freeLists * 16)
        }
      ),
    ]
    guard case (let name, let address?)? = fields.randomElement(using: &random), let physical = targets.physical(address),
      let old = targets.word(physical)
    else { return }
    patch(physical, damaged(old), name)
  }

  mutating func hitNode() {
    let node = random.below(targets.nodes.count)
    mutation.place = Mutation.Place(node: node)
    if random.chance(1, of: 4), let physical = targets.physical(targets.nodeTable + UInt64(node * 8)),
      let old = targets.word(physical)
    {
      return patch(physical, damaged(old), "node_data[\(node)]")
    }
    let names = ["nr_zones", "node_start_pfn", "node_spanned_pages", "node_id"]
    guard let name = names.randomElement(using: &random), let offset = offset("pglist_data.\(name)"),
      let physical = targets.physical(targets.nodes[node] + offset), let old = targets.word(physical)
    else { return }
    let size = name == "nr_zones" || name == "node_id" ? 4 : 8
    patch(physical, damaged(old, bits: size * 8), size: size, name)
  }

  // MARK: free lists

  mutating func hitListHead() {
    guard let (head, physical) = listHead(), let next = targets.word(physical) else { return }
    let other = targets.zones.randomElement(using: &random)?.address ?? 0
    let field = physical + (random.chance(1, of: 3) ? 8 : 0)
    switch random.below(5) {
    // An empty list: its chunks have lost one witness.
    case 0: patch(field, head, "empty list")
    case 1: patch(field, 0, "list head")
    case 2: patch(field, other + (offset("zone.free_area") ?? 0), "another list's head")
    case 3: patch(field, pageAddress(frame()), "some page's lru")
    default: patch(field, damaged(next), "list head")
    }
  }

  mutating func hitLink() {
    guard let (head, physical) = listHead() else { return }
    let chain = chain(head, physical, limit: 64)
    guard let link = chain.randomElement(using: &random), let old = targets.word(link.physical) else { return }
    let field = link.physical + (random.chance(1, of: 3) ? 8 : 0)
    switch random.below(5) {
    case 0: patch(field, link.address, "link to itself")
    case 1: patch(field, head, "link to the head")
    case 2: patch(field, pageAddress(frame()), "some page's lru")
    case 3: patch(field, chain.randomElement(using: &random)?.address ?? 0, "another link of the list")
    default: patch(field, damaged(old), "link")
    }
  }

  mutating func makeLoop() {
    guard let (head, physical) = listHead() else { return }
    let chain = chain(head, physical, limit: 64)
    guard chain.count >= 2 else { return }
    let last = 1 + random.below(chain.count - 1)
    patch(chain[last].physical, chain[random.below(last)].address, "loop: next of link \(last)")
  }

  /// Virtual and physical address of a list head.
  private mutating func listHead() -> (UInt64, UInt64)? {
    guard let zone = targets.zones.randomElement(using: &random), let area = offset("zone.free_area") else { return nil }
    mutation.place = Mutation.Place(node: zone.node, zone: zone.type)
    let order = random.below(targets.orders)
    let type = random.below(targets.freeLists)
    let address = zone.address + area + UInt64(order * targets.areaSize + type * 16)
    return targets.physical(address).map { (address, $0) }
  }

  private func chain(_ head: UInt64, _ physical: UInt64, limit: Int) -> [(address: UInt64, physical: UInt64)] {
    var links: [(address: UInt64, physical: UInt64)] = []
    var next = targets.word(physical)
    while let address = next, address != head, links.count < limit, let place = targets.physical(address) {
      links.append((address, place))
      next = targets.word(place)
    }
    return links
  }

  /// `&page->lru` of a frame.
  private func pageAddress(_ frame: UInt64) -> UInt64 {
    let index = targets.sections.partitionPoint { $0.number < frame >> 15 }
    guard index < targets.sections.count else { return 0 }
    return targets.sections[index].map + (frame & 0x7fff) * UInt64(targets.pageSize) + (offset("page.lru") ?? 8)
  }

  private func offset(_ name: String) -> UInt64? { targets.info.offset(name).map { UInt64($0) } }

  // MARK: VMCOREINFO

  /// Keys that page classes depend on.
  private static let keyParts = [
    "page", "mem_section", "pglist_data", "zone", "free_area", "list_head", "node_", "PG_", "PAGE_", "NR_FREE_PAGES",
    "SECTION_SIZE_BITS", "MAX_PHYSMEM_BITS", "phys_base", "pgtable_l5", "init_top_pgt", "HUGETLB", "folio", "sme_mask",
  ]

  mutating func hitText() {
    var lines = text.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    let candidates = lines.indices.filter { line in MutationDraft.keyParts.contains { lines[line].contains($0) } }
    guard let line = candidates.randomElement(using: &random), let equals = lines[line].firstIndex(of: "=") else { return }
    let key = String(lines[line][..<equals])
    let value = String(lines[line][lines[line].index(after: equals)...])
    let isHex = key.hasPrefix("SYMBOL") || value.hasPrefix("0x")
    mutation.place = Mutation.Place(key: key)
    var new = "nothing"
    switch random.below(6) {
    case 0: lines.remove(at: line)
    case 1: new = isHex ? String(random.next(), radix: 16) : String(Int64(bitPattern: random.next()))
    case 2: new = ["", "-1", "0", "18446744073709551615", "x", "4294967296"][random.below(6)]
    case 3:
      // The first of two counts.
      new = String(random.below(1 << 20))
      lines.insert("\(key)=\(new)", at: line)
    case 4:
      lines.removeSubrange(line...)
      new = "the end of the text"
    default:
      // A wrong digit: the number stays plausible.
      var digits = Array(value)
      guard !digits.isEmpty else { return }
      digits[random.below(digits.count)] = Array("0123456789")[random.below(10)]
      new = String(digits)
    }
    if lines.indices.contains(line), lines[line] == "\(key)=\(value)" { lines[line] = "\(key)=\(new)" }
    let changed = Array((lines.joined(separator: "\n") + "\n").utf8)
    if changed == text { return }
    mutation.vmcoreinfo = changed
    mutation.text = "\(value) became \(new)"
  }
}
