public import DumpBasics

/// Pages of one class, one after the other.
public struct SyntheticRun: Sendable, Equatable {
  public var frames: Range<UInt64>
  public var pageClass: SyntheticClass
}

/// A block of the machine, with what is needed to say what its pages are.
struct BlockPlace {
  var zone: SyntheticZone?
  /// Nil where all pages are alike.
  var pattern: BlockPattern?
  /// In the zone's free lists.
  var position: UInt64 = 0
  var uniform = SyntheticPage(.hole)
  /// Pages of the unit that a uniform page belongs to, less one: its index is the low bits of the frame.
  var unitMask: UInt64 = 0

  func page(_ frame: UInt64) -> SyntheticPage {
    pattern?.entries[Int(frame % UInt64(BlockPattern.pages))] ?? uniformPage(frame)
  }

  func uniformPage(_ frame: UInt64) -> SyntheticPage {
    var page = uniform
    page.index = UInt32(frame & unitMask)
    return page
  }
}

// What is true of the machine's pages, for tests to compare with.
extension SyntheticMachine {
  /// What `frame` is; nil where it has no struct page (its section has no map).
  public func page(_ frame: PageFrame) -> SyntheticPage? {
    let block = frame.rawValue / UInt64(BlockPattern.pages)
    guard plan.extent(ofBlock: block) != nil else { return nil }
    return blockPlace(block).page(frame.rawValue)
  }

  /// The class of `frame`; nil where it has no struct page.
  public func trueClass(_ frame: PageFrame) -> SyntheticClass? { page(frame)?.pageClass }

  /// Whether the dump holds the page.
  public func isDumped(_ frame: PageFrame) -> Bool { plan.isDumped(frame.rawValue) }

  /// The frames that the dump holds.
  public var dumpedFrames: [Range<UInt64>] { plan.dumped }

  /// The frames that have a struct page: sections with a map.
  public var mappedFrames: [Range<UInt64>] {
    plan.sections.map {
      $0.sections.lowerBound * MachinePlan.sectionPages..<$0.sections.upperBound * MachinePlan.sectionPages
    }
  }

  /// Where the struct page of `frame` lies in physical memory; nil where it has none.
  public func pageMapLocation(_ frame: PageFrame) -> PhysicalAddress? {
    plan.pageMap(ofSection: frame.rawValue / MachinePlan.sectionPages)
      .map { PhysicalAddress($0 + frame.rawValue % MachinePlan.sectionPages * 64) }
  }

  /// Calls `body` with the runs of equal class in `frames`, ascending. Frames without a struct page are left
  /// out.
  public func forEachRun(in frames: Range<UInt64>, _ body: (SyntheticRun) throws -> Void) rethrows {
    var open: SyntheticRun?
    func add(_ range: Range<UInt64>, _ pageClass: SyntheticClass) throws {
      if let run = open, run.pageClass == pageClass, run.frames.upperBound == range.lowerBound {
        open = SyntheticRun(frames: run.frames.lowerBound..<range.upperBound, pageClass: pageClass)
      } else {
        if let open { try body(open) }
        open = SyntheticRun(frames: range, pageClass: pageClass)
      }
    }
    let size = UInt64(BlockPattern.pages)
    for extent in plan.extents {
      let pages = (extent.blocks.lowerBound * size..<extent.blocks.upperBound * size).clamped(to: frames)
      if pages.isEmpty { continue }
      let isUniform =
        switch extent.source {
        case .uniform, .gigantic: true
        case .regular, .special: false
        }
      if isUniform {
        try add(pages, blockPlace(extent.blocks.lowerBound).uniform.pageClass)
        continue
      }
      var block = pages.lowerBound / size
      while block * size < pages.upperBound {
        let place = blockPlace(block)
        for frame in (block * size..<(block + 1) * size).clamped(to: pages) {
          try add(frame..<frame + 1, place.page(frame).pageClass)
        }
        block += 1
      }
    }
    if let open { try body(open) }
  }

  /// Pages of each kind in the dump: multiplied, not counted, so that size costs nothing.
  public func kindCounts() -> [PageKind: UInt64] {
    var counts: [PageKind: UInt64] = [:]
    for zone in plan.zones {
      for (index, pattern) in zone.patterns.patterns.enumerated() {
        let uses = zone.patterns.uses(of: index, in: zone.regularCount)
        for entry in pattern.entries { counts[entry.kind, default: 0] += uses }
      }
    }
    let size = UInt64(BlockPattern.pages)
    for extent in plan.extents {
      let pages = extent.blocks.lowerBound * size..<extent.blocks.upperBound * size
      switch extent.source {
      case .regular: break
      case .special:
        let place = blockPlace(extent.blocks.lowerBound)
        for frame in pages where plan.isDumped(frame) { counts[place.page(frame).kind, default: 0] += 1 }
      case .uniform, .gigantic:
        let kind = blockPlace(extent.blocks.lowerBound).uniform.kind
        counts[kind, default: 0] += plan.dumped.reduce(0) { $0 + UInt64($1.clamped(to: pages).count) }
      }
    }
    return counts.filter { $0.value > 0 }
  }

  /// Pages of each class in the dump.
  public func classCounts() -> [SyntheticClass: UInt64] {
    kindCounts().reduce(into: [:]) { $0[$1.key.pageClass, default: 0] += $1.value }
  }

  /// The heads of a free list in its order.
  public func freeList(_ zone: SyntheticZone, order: Int, migrateType: Int) -> some Sequence<UInt64> {
    let list = order * 8 + migrateType
    return sequence(state: zone.firstHead(list)) { next -> UInt64? in
      guard let frame = next else { return nil }
      let place = self.blockPlace(frame / UInt64(BlockPattern.pages))
      next = place.pattern.flatMap {
        zone.headAfter(list, place.position, place: Int($0.place[Int(frame % UInt64(BlockPattern.pages))]))
      }
      return frame
    }
  }

  func blockPlace(_ block: UInt64) -> BlockPlace {
    guard let extent = plan.extent(ofBlock: block) else { return BlockPlace() }
    switch extent.source {
    case .regular(let index, let before):
      let zone = plan.zones[index]
      let position = zone.position(ofRegular: before + (block - extent.blocks.lowerBound))
      return BlockPlace(zone: zone, pattern: zone.patterns.pattern(at: position), position: position)
    case .special(let index, let special):
      let zone = plan.zones[index]
      return BlockPlace(
        zone: zone, pattern: zone.specials[special].pattern, position: zone.regularCount + UInt64(special))
    case .uniform(let zone, let kind):
      let order: UInt64 = kind == .unaccepted ? UInt64(BlockPattern.order) : 0
      return BlockPlace(
        zone: zone.map { plan.zones[$0] }, uniform: SyntheticPage(kind, order: UInt8(order)), unitMask: 1 << order - 1)
    case .gigantic(let zone):
      return BlockPlace(zone: plan.zones[zone], uniform: SyntheticPage(.hugetlb, order: 18), unitMask: 1 << 18 - 1)
    }
  }
}
