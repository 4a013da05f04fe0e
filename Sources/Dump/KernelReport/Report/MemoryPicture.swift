internal import DumpBasics

/// How the kernel's memory was used, by its own counts.
struct MemoryPicture {
  /// Pages.
  struct Zone {
    var name: String
    var node: Int
    var free: UInt64?
    /// min, low, high.
    var watermarks: [UInt64]
    var managed: UInt64
  }
  struct Slab {
    var name: String
    var bytes: UInt64
    var objects: UInt64
    var objectSize: UInt64
  }
  struct HugePages {
    var pageBytes: UInt64
    var total: UInt64
    var free: UInt64
  }

  private(set) var zones: [Zone] = []
  /// Pages by the kernel's names of them: `anon_mapped`, `file_pages`.
  private(set) var counts: [(name: String, pages: UInt64)] = []
  private(set) var slabs: [Slab] = []
  private(set) var processes: [Process] = []
  private(set) var hugePages: [HugePages] = []
  private(set) var totalPages: UInt64?
  let pageBytes: UInt64

  private static let nodeLimit = 1024
  static let shown = 10

  init(_ view: KernelView, _ tasks: TaskList) {
    pageBytes = view.memory.pageSize.bytes
    totalPages = view.symbol("_totalram_pages").flatMap { view.u64($0) }
    let nodes = MemoryPicture.nodes(view)
    for (number, node) in nodes { addZones(view, number, node) }
    if zones.isEmpty, view.types != nil { view.note("no zones of memory: no node leads to one that is in use") }
    addCounts(view)
    addHugePages(view)
    if !view.isTimeUp { addSlabs(view, nodes: nodes.map(\.number).max() ?? 0) }
    if !view.isTimeUp { processes = MemoryPicture.largest(view, tasks) }
  }

  private static func nodes(_ view: KernelView) -> [(number: Int, address: UInt64)] {
    if let one = view.info.symbol("contig_page_data") { return [(0, one.rawValue)] }
    guard let table = view.symbol("node_data", for: "zones of memory") else { return [] }
    let count = min(nodeLimit, Int(clamping: view.info.length("node_data") ?? 1))
    var found: [(Int, UInt64)] = []
    var broken: [UInt64] = []
    for number in 0..<count {
      let place = table &+ UInt64(number * 8)
      // Most of the table is empty: there are fewer nodes than there could be.
      guard let node = view.u64(place), node == 0 || isKernelAddress(node) && view.u64(node) != nil else {
        broken.append(place)
        continue
      }
      if node != 0 { found.append((number, node)) }
    }
    if let first = broken.first {
      view.note("node_data is broken at \(hex(first)): \(broken.count) of \(count) entries lead to no node")
    }
    return found
  }

  private mutating func addZones(_ view: KernelView, _ number: Int, _ node: UInt64) {
    guard let types = view.types, let zones = view.member("pglist_data", "node_zones"),
      let (element, count) = types.array(types.bare(zones.type)),
      let size = types.size(element), let nameOffset = view.offset("zone", "name"),
      let statistics = view.offset("zone", "vm_stat")
    else { return }
    let free = view.enumerators("zone_stat_item").first { $0.name == "NR_FREE_PAGES" }?.value
    for index in 0..<min(count, 8) {
      let zone = node &+ UInt64(zones.offset + index * size)
      guard let managed = view.value(zone, "zone", "managed_pages.counter") ?? view.value(zone, "zone", "managed_pages"),
        managed > 0
      else { continue }
      let name = view.u64(zone &+ nameOffset).flatMap { view.text($0, limit: 16) } ?? "?"
      let marks = view.offset("zone", "_watermark").map { offset in
        (0..<3).compactMap { view.u64(zone &+ offset &+ UInt64($0 * 8)) }
      }
      self.zones.append(
        Zone(
          name: name, node: number,
          free: free.flatMap { view.u64(zone &+ statistics &+ UInt64(truncatingIfNeeded: $0) &* 8) }, watermarks: marks ?? [],
          managed: managed))
    }
  }

  private mutating func addCounts(_ view: KernelView) {
    guard let table = view.symbol("vm_node_stat", for: "counts of memory in use") else { return }
    let wanted = [
      "NR_ANON_MAPPED": "anon", "NR_FILE_PAGES": "file", "NR_SHMEM": "shmem", "NR_SLAB_RECLAIMABLE_B": "slab, reclaimable",
      "NR_SLAB_UNRECLAIMABLE_B": "slab, unreclaimable", "NR_PAGETABLE": "page tables", "NR_FILE_DIRTY": "dirty",
      "NR_WRITEBACK": "writeback",
    ]
    for (name, value) in view.enumerators("node_stat_item") {
      guard let label = wanted[name], (0..<256).contains(value), let pages = view.u64(table &+ UInt64(value) &* 8) else {
        continue
      }
      // Sums of what CPUs hold back: may be a little below 0.
      counts.append((label, pages >> 63 == 1 ? 0 : pages))
    }
  }

  private mutating func addHugePages(_ view: KernelView) {
    guard let table = view.symbol("hstates"), let count = view.symbol("hugetlb_max_hstate").flatMap({ view.u32($0) }),
      let size = view.size("hstate")
    else { return }
    for index in 0..<UInt64(min(count, 8)) {
      let state = table &+ index &* size
      guard let order = view.value(state, "hstate", "order"), order < 40,
        let total = view.value(state, "hstate", "nr_huge_pages"),
        let free = view.value(state, "hstate", "free_huge_pages"), total > 0
      else { continue }
      hugePages.append(HugePages(pageBytes: view.memory.pageSize.bytes << order, total: total, free: free))
    }
  }

  private mutating func addSlabs(_ view: KernelView, nodes: Int) {
    guard let head = view.symbol("slab_caches", for: "slab caches"), let inside = view.offset("kmem_cache", "list"),
      let types = view.types,
      let nodeTable = view.member("kmem_cache", "node") ?? view.member("kmem_cache", "per_node"),
      let (element, count) = types.array(types.bare(nodeTable.type)), let each = types.size(element)
    else { return }
    for cache in view.list(head, inside: inside, limit: 4096, of: "slab caches (slab_caches)") {
      if view.isTimeUp { break }
      var slabs: UInt64 = 0
      var objects: UInt64 = 0
      // Since 7.1 each element is a pair of pointers.
      let inner = types.member(element, "node")?.offset ?? 0
      for node in 0...min(nodes, max(0, count - 1)) {
        guard let place = view.u64(cache &+ UInt64(nodeTable.offset + node * each + inner)), isKernelAddress(place) else {
          continue
        }
        slabs = clampedSum(slabs, view.value(place, "kmem_cache_node", "nr_slabs.counter") ?? 0)
        objects = clampedSum(objects, view.value(place, "kmem_cache_node", "total_objects.counter") ?? 0)
      }
      let order = (view.value(cache, "kmem_cache", "oo.x") ?? 0) >> 16
      guard slabs > 0, slabs < 1 << 40, order < 12 else { continue }
      let name = view.value(cache, "kmem_cache", "name").flatMap { view.text($0, limit: 64) } ?? "?"
      self.slabs.append(
        Slab(
          name: name, bytes: (slabs << order) << view.memory.pageSize.shift, objects: objects,
          objectSize: view.value(cache, "kmem_cache", "object_size") ?? 0))
    }
    self.slabs = Array(self.slabs.sorted { $0.bytes > $1.bytes }.prefix(MemoryPicture.shown))
  }
}
