internal import CrashedKernel
internal import DumpBasics

/// One list of free blocks: its head, and where that leads.
struct ListHead: Sendable, Equatable {
  var address: UInt64
  var next: UInt64
  var previous: UInt64
}

/// A zone of a node as it describes itself.
struct Zone: Sendable {
  var node: Int
  var number: Int
  /// Pages that can be its own.
  var frames: Range<UInt64>
  /// `free_area[order]`: the list heads and `nr_free`.
  var orders: [Order]
  /// NR_FREE_PAGES. Per-CPU differences are not in it.
  var freePages: Int64

  struct Order: Sendable {
    var lists: [ListHead]
    var count: UInt64
  }

  var name: String { "node \(node), zone \(number)" }
}

/// The nodes of the machine and their zones (`node_data`, struct pglist_data; include/linux/mmzone.h).
struct MemoryNodes: Sendable {
  var zones: [Zone] = []
  /// Where the nodes' structures lie; they are in the direct map.
  var addresses: [VirtualAddress] = []
  /// Nodes that are online and do not describe themselves.
  var unreadable: Set<Int> = []
  /// Frames of each node that describes itself.
  var frames: [Int: Range<UInt64>] = [:]

  /// For when nobody asks.
  static let none = MemoryNodes()
  private init() {}

  /// Frames are below this: 2^52 bytes in pages of 4 KiB.
  private static let frameLimit: UInt64 = 1 << 40

  init(
    _ info: VMCoreInfo, _ memory: KernelMemory, _ table: NodeTable, _ layout: ZoneLayout, _ checks: inout CheckTable,
    _ findings: inout Findings
  ) {
    for (index, address) in MemoryNodes.nodes(info, memory, table, layout, &checks, &findings) {
      do throws(DumpError) {
        try readNode(index, address, memory, layout, &checks, &findings)
      } catch {
        unreadable.insert(index)
        checks.failed(.zoneSpan)
        var finding = error.inside("node \(index)")
        finding.advice = "its free pages have no second witness and are kept"
        findings.add(finding, Findings.noFrames)
      }
    }
  }

  /// The nodes that are online, or that have a structure.
  private static func nodes(
    _ info: VMCoreInfo, _ memory: KernelMemory, _ table: NodeTable, _ layout: ZoneLayout, _ checks: inout CheckTable,
    _ findings: inout Findings
  ) -> [(Int, VirtualAddress)] {
    do throws(DumpError) {
      if table == .unknown {
        throw DumpError("the kernel does not say where its nodes are: neither VMCOREINFO nor kallsyms has them")
      }
      let addresses = try table.addresses(layout.maxNodes, memory)
      if case .single = table { return addresses.map { (0, $0) } }
      var online = [Bool](repeating: true, count: layout.maxNodes)
      if let map = info.symbol("node_online_map"), let words = try? memory.read(map, count: (layout.maxNodes + 63) / 64 * 8) {
        let bits = ByteReader(words, memory.byteOrder)
        for node in 0..<layout.maxNodes { online[node] = (bits.u64(node / 64 * 8) ?? 0) >> UInt64(node % 64) & 1 != 0 }
        // A map without any node is damaged: then all that have a structure count.
        if !online.contains(true) { online = [Bool](repeating: true, count: layout.maxNodes) }
      }
      // Offline nodes have a structure too, since 5.18: an empty one.
      return addresses.enumerated().filter { node, address in
        online[node] && (address.rawValue != 0 || info.symbol("node_online_map") != nil)
      }.map { ($0.offset, $0.element) }
    } catch {
      checks.failed(.zoneSpan)
      var finding = error.inside("node_data")
      finding.advice = "free pages have no second witness and are kept"
      findings.add(finding, Findings.noFrames)
      return []
    }
  }

  private mutating func readNode(
    _ index: Int, _ address: VirtualAddress, _ memory: KernelMemory, _ layout: ZoneLayout, _ checks: inout CheckTable,
    _ findings: inout Findings
  ) throws(DumpError) {
    func at(_ offset: Int) throws(DumpError) -> VirtualAddress {
      guard let place = address.advanced(by: UInt64(offset)) else { throw DumpError("its address \(address) is none") }
      return place
    }
    let id = try memory.u32(try at(layout.nodeID))
    guard id == UInt32(index) else { throw DumpError("its structure at \(address) says that it is node \(id)") }
    let start = try memory.u64(try at(layout.nodeStart))
    let spanned = try memory.u64(try at(layout.nodeSpanned))
    let count = try memory.u32(try at(layout.zoneCount))
    guard start < MemoryNodes.frameLimit, spanned < MemoryNodes.frameLimit,
      count <= UInt32(layout.maxZones ?? ZoneLayout.zoneLimit)
    else { throw DumpError("it spans \(hex(spanned)) pages from pfn \(hex(start)) on, in \(count) zones") }
    checks.passed(.zoneSpan)
    addresses.append(address)
    frames[index] = start..<start + spanned
    for number in 0..<(layout.maxZones ?? Int(count)) {
      let bytes = try memory.read(try at(layout.nodeZones + number * layout.zoneSize), count: layout.zoneSize)
      let base = try at(layout.nodeZones + number * layout.zoneSize).rawValue
      if let zone = readZone(ByteReader(bytes, memory.byteOrder), base, index, number, layout, &checks, &findings) {
        zones.append(zone)
      }
    }
  }

  /// Nil for a zone without pages.
  private func readZone(
    _ reader: ByteReader, _ base: UInt64, _ node: Int, _ number: Int, _ layout: ZoneLayout, _ checks: inout CheckTable,
    _ findings: inout Findings
  ) -> Zone? {
    let spanned = reader.u64(layout.spanned) ?? 0
    let orders = (0..<layout.orders).map { order in
      let area = layout.freeArea + order * layout.freeAreaSize
      return Zone.Order(
        lists: (0..<layout.listTypes).map { type in
          let head = area + layout.freeList + type * layout.listHeadSize
          return ListHead(
            address: base &+ UInt64(head),  // the structure was read from there: no overflow
            next: reader.u64(head) ?? 0, previous: reader.u64(head + 8) ?? 0)
        }, count: reader.u64(area + layout.freeCount) ?? 0)
    }
    // A zone that never had a page has lists of zeros or empty ones, and counts nothing.
    if spanned == 0, orders.allSatisfy({ $0.count == 0 }) { return nil }
    let counter = reader.u64(layout.counters + 8 * layout.freePagesCounter) ?? 0
    var zone = Zone(
      node: node, number: number, frames: frames[node] ?? 0..<0, orders: orders, freePages: Int64(bitPattern: counter))
    if let own = ownFrames(reader, spanned, zone.frames, layout) {
      zone.frames = own
      checks.passed(.zoneSpan)
    } else {
      checks.failed(.zoneSpan)
      findings.add(
        DumpError(
          "the zone spans \(hex(spanned)) pages, which do not lie in its node", at: zone.name,
          advice: "where its pages lie is not checked"), zone.frames)
      zone.frames = 0..<MemoryNodes.frameLimit
    }
    return zone
  }

  private func ownFrames(_ reader: ByteReader, _ spanned: UInt64, _ node: Range<UInt64>, _ layout: ZoneLayout) -> Range<UInt64>? {
    guard let offset = layout.zoneStart, let start = reader.u64(offset), spanned > 0, spanned <= UInt64(node.count),
      node.contains(start), spanned <= node.upperBound - start
    else { return nil }
    return start..<start + spanned
  }

  // MARK: The zone of a page

  /// The field of `page.flags` that names node and zone: of the candidates the one that is right for the
  /// first page of nearly every free list. Nil when there is nothing to try it on, or none fits.
  func zoneField(_ candidates: [ZoneField], _ memory: KernelMemory, _ layout: PageLayout) -> ZoneField? {
    var tried = 0
    var right = [Int](repeating: 0, count: candidates.count)
    for zone in zones {
      for head in zone.orders.flatMap(\.lists) where head.next != head.address && tried < 256 {
        let page = head.next &- UInt64(layout.lru)
        guard let flags = try? memory.u64(VirtualAddress(page &+ UInt64(layout.flags))) else { continue }
        tried += 1
        for (index, field) in candidates.enumerated() where field.tag(flags) == field.tag(node: zone.node, zone: zone.number) {
          right[index] += 1
        }
      }
    }
    guard tried > 0, let best = right.max(), best * 4 >= tried * 3, let index = right.firstIndex(of: best) else { return nil }
    return candidates[index]
  }
}
