internal import CrashedKernel
internal import DumpBasics

/// How nodes, zones and free lists are laid out, from the keys of VMCOREINFO.
struct ZoneLayout: Sendable, Equatable {
  /// Bytes of a `struct zone`.
  var zoneSize: Int
  /// `struct pglist_data`.
  var nodeZones: Int
  var zoneCount: Int
  var nodeStart: Int
  var nodeSpanned: Int
  var nodeID: Int
  /// `struct zone`.
  var freeArea: Int
  var counters: Int
  var spanned: Int
  /// Number of NR_FREE_PAGES among the counters.
  var freePagesCounter: Int
  /// Orders of free blocks: 0 ..< orders.
  var orders: Int
  /// Lists of an order, one for each migrate type.
  var listTypes: Int
  /// Bytes of a `struct free_area` and of a `struct list_head`.
  var freeAreaSize: Int
  var listHeadSize: Int
  var freeList: Int
  /// Elements of `node_data`; 1 without NUMA.
  var maxNodes: Int
  /// MAX_NR_ZONES; nil when it can't be derived.
  var maxZones: Int?

  /// Limits far beyond any kernel's.
  static let orderLimit: UInt64 = 24
  static let zoneLimit = 8
  static let zoneSizeLimit = 1 << 16

  /// `nr_free` follows the lists (include/linux/mmzone.h, struct free_area).
  var freeCount: Int { freeList + listTypes * listHeadSize }
  /// `zone_start_pfn` and `managed_pages` stand before `spanned_pages` (struct zone, 3.11 to 7.3). No key
  /// says so: what is there is used only when it fits into the node.
  var zoneStart: Int? { spanned >= 16 ? spanned - 16 : nil }

  /// - Throws: naming the key that is missing or absurd.
  init(_ info: VMCoreInfo, _ table: NodeTable) throws(DumpError) {
    zoneSize = try info.requireSize("zone")
    nodeZones = try info.requireOffset("pglist_data.node_zones")
    zoneCount = try info.requireOffset("pglist_data.nr_zones")
    nodeStart = try info.requireOffset("pglist_data.node_start_pfn")
    nodeSpanned = try info.requireOffset("pglist_data.node_spanned_pages")
    nodeID = try info.requireOffset("pglist_data.node_id")
    freeArea = try info.requireOffset("zone.free_area")
    counters = try info.requireOffset("zone.vm_stat")
    spanned = try info.requireOffset("zone.spanned_pages")
    freePagesCounter = Int(clamping: try info.requireNumber("NR_FREE_PAGES"))
    freeAreaSize = try info.requireSize("free_area")
    listHeadSize = try info.requireSize("list_head")
    freeList = try info.requireOffset("free_area.free_list")
    guard let orders = info.length("zone.free_area"), (1...ZoneLayout.orderLimit).contains(orders),
      let types = info.length("free_area.free_list"), (1...64).contains(types)
    else { throw DumpError("LENGTH(zone.free_area) or LENGTH(free_area.free_list) is missing or absurd", at: "VMCOREINFO") }
    self.orders = Int(orders)
    listTypes = Int(types)
    // The page map's own links (`page.lru`) are read by this order too.
    guard listHeadSize == 16, try info.requireOffset("list_head.next") == 0, try info.requireOffset("list_head.prev") == 8
    else {
      throw DumpError("list_head is not two pointers", at: "VMCOREINFO")
    }
    guard freeList == 0, freeAreaSize == listTypes * listHeadSize + 8 else {
      throw DumpError("struct free_area is not \(types) lists and a count", at: "VMCOREINFO")
    }
    guard zoneSize <= ZoneLayout.zoneSizeLimit, freeArea <= zoneSize, self.orders * freeAreaSize <= zoneSize - freeArea,
      spanned <= zoneSize - 8, (0..<1024).contains(freePagesCounter), counters <= zoneSize - 8 * (freePagesCounter + 1)
    else { throw DumpError("the members of struct zone do not fit into its \(zoneSize) bytes", at: "VMCOREINFO") }
    let counts = if case .pointers(_, let counts) = table { counts } else { [1] }
    let fitting = counts.lazy.compactMap { [zoneCount, zoneSize, nodeZones] nodes in
      ZoneLayout.zones(upTo: zoneCount, zoneSize: zoneSize, nodes: nodes, first: nodeZones).map { (nodes, $0) }
    }.first
    maxNodes = fitting?.0 ?? counts.first ?? 1
    maxZones = fitting?.1
  }

  /// MAX_NR_ZONES from the distance between `node_zones` and `nr_zones`. Between them lie the zones and
  /// `node_zonelists` (include/linux/mmzone.h): with NUMA two lists, without one, each of MAX_NUMNODES ×
  /// MAX_NR_ZONES + 1 entries of 16 bytes.
  private static func zones(upTo end: Int, zoneSize: Int, nodes: Int, first: Int) -> Int? {
    let lists = nodes > 1 ? 2 : 1
    let distance = end - first - lists * 16
    let each = zoneSize + lists * nodes * 16
    guard distance > 0, distance % each == 0, distance / each <= zoneLimit else { return nil }
    return distance / each
  }
}
