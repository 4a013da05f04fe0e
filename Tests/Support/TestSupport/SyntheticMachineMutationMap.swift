internal import DumpBasics

// Damage to the way to the page map and to the map itself.
extension MutationDraft {
  mutating func hitSectionTable() {
    guard let section = targets.sections.randomElement(using: &random) else { return }
    mutation.place = Mutation.Place(section: section.number)
    if random.chance(1, of: 4), let root = targets.roots.randomElement(using: &random), let old = targets.word(root) {
      mutation.place = Mutation.Place()
      return patch(root, damaged(old), "a root pointer")
    }
    guard let old = targets.word(section.entry) else { return }
    if random.chance(1, of: 4), let other = targets.sections.randomElement(using: &random),
      let stolen = targets.word(other.entry)
    {
      // Plausible and wrong: another section's map.
      mutation.place.otherSection = other.number
      return patch(section.entry, stolen &+ (other.number &- section.number) << 21, "map of section \(other.number)")
    }
    patch(section.entry, damaged(old), "section_mem_map")
  }

  /// One field, one struct page, or 4 KiB of the map.
  mutating func hitStructPage() {
    let frame = frame()
    guard let page = targets.page(frame) else { return }
    place(frame)
    switch random.below(10) {
    case 0: patch(page, noise(targets.pageSize), "random struct page")
    case 1:
      let start = page & ~0xfff
      patch(start, noise(4096), "random page of the map at \(hex(start))")
    default:
      let names = ["page.flags", "page._mapcount", "page.mapping", "page.private", tailField]
      guard let name = names.randomElement(using: &random), let offset = targets.info.offset(name),
        let old = targets.word(page + UInt64(offset))
      else { return }
      let size = name == "page._mapcount" ? 4 : 8
      patch(page + UInt64(offset), damaged(old, bits: size * 8), size: size, name)
    }
  }

  /// What a stray write of valid kernel data would leave.
  mutating func hitPlausibly() {
    let frame = frame()
    guard let page = targets.page(frame) else { return }
    place(frame)
    let info = targets.info
    let field = { (name: String) in page + UInt64(info.offset(name) ?? 0) }
    switch random.below(6) {
    case 0:
      let other = self.frame()
      if let source = targets.page(other), let bytes = targets.load(source, targets.pageSize) {
        patch(page, bytes, "struct page of pfn \(hex(other))")
      }
    case 1:
      guard let type = targets.info.number("PAGE_BUDDY_MAPCOUNT_VALUE") else { return }
      let order = UInt64(random.below(targets.orders))
      patch(field("page._mapcount"), UInt64(bitPattern: type) & 0xffff_ffff, size: 4, "free mark")
      patch(field("page.private"), order, "order")
    case 2:
      if let old = targets.word(field("page.mapping")) { patch(field("page.mapping"), old | 1, "anonymous mapping") }
    case 3:
      let lru = UInt64(targets.info.number("PG_lru") ?? 0) & 63
      if let old = targets.word(field("page.flags")) { patch(field("page.flags"), old | 1 << lru, "flags with PG_lru") }
    case 4:
      let head = targets.info.word("PG_head_mask") ?? 0
      if let old = targets.word(field("page.flags")) { patch(field("page.flags"), old | head, "flags with PG_head") }
    default:
      if let old = targets.word(field(tailField)) { patch(field(tailField), old ^ 1, "tail mark") }
    }
  }

  mutating func hitPageTable() {
    var addresses = targets.nodes + targets.zones.map(\.address)
    addresses += [targets.info.symbol("mem_section")?.rawValue, targets.nodeTable].compactMap { $0 }
    // Half of them on the way to the map, of which most is read.
    if random.chance(1, of: 2), let section = targets.sections.randomElement(using: &random) {
      addresses = [section.map]
      mutation.place = Mutation.Place(section: section.number)
    }
    guard let address = addresses.randomElement(using: &random),
      let entry = targets.pageTableEntries(address).randomElement(using: &random), let old = targets.word(entry)
    else { return }
    switch random.below(4) {
    case 0: patch(entry, old & ~1, "entry not present")
    case 1: patch(entry, old ^ 1 << UInt64(12 + random.below(30)), "entry to another page")
    default: patch(entry, damaged(old), "page-table entry")
    }
  }

  /// A whole page that mem_section, a node or a page table lies in.
  mutating func hitMetadataPage() {
    guard let section = targets.sections.randomElement(using: &random), let node = targets.nodes.randomElement(using: &random)
    else { return }
    let zone = targets.zones.randomElement(using: &random)?.address ?? node
    let places = [section.entry, targets.roots.randomElement(using: &random)]
    let structures = [node, zone].map { targets.physical($0) }
    let tables = targets.pageTableEntries(section.map).suffix(2).map { Optional($0) }
    guard let place = (places + structures + tables).compactMap({ $0 }).randomElement(using: &random) else { return }
    patch(place & ~0xfff, noise(4096), "random page of metadata at \(hex(place & ~0xfff))")
  }

  mutating func unmapSection() {
    guard let section = targets.sections.randomElement(using: &random) else { return }
    mutation.place = Mutation.Place(section: section.number)
    let length = UInt64(targets.pageSize) << 15
    switch random.below(3) {
    case 0: patch(section.entry, 0, "entry of mem_section")
    case 1:
      if let entry = targets.pageTableEntries(section.map).last { patch(entry, 0, "mapping of the map") }
    default:
      guard let start = targets.physical(section.map), let range = PhysicalRange(start: start, count: length) else { return }
      mutation.unreadable.append(range)
      mutation.text = "the map at \(range) is unreadable"
    }
  }

  private var tailField: String {
    targets.info.offset("page.compound_info") == nil ? "page.compound_head" : "page.compound_info"
  }
}
