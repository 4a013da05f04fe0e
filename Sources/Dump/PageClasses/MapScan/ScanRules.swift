internal import DumpBasics

/// What the scan of the page map needs to know; made once, the same for all threads.
struct ScanRules: Sendable {
  var layout: PageLayout
  var geometry: SectionTable.Geometry
  var space: AddressSpace
  /// The page map's first address and its bytes up to the end of memory, with vmemmap; else nothing.
  var mapBase: UInt64
  var mapSize: UInt64
  var trust: Trust
  var zones: ZoneRules
  /// Orders of free blocks.
  var freeOrders: UInt64
  /// Compound pages are of at most this order: 1 GiB in pages of 4 KiB (MAX_FOLIO_ORDER,
  /// include/linux/mmzone.h), and no kernel has had larger ones in larger pages.
  var compoundOrders: UInt64 = 19
  /// The orders that huge pages of hugetlbfs can have, one bit each.
  var hugeOrders: UInt64
  /// Page-map entries in one page of memory, when that is a whole number: see `MapScan.isFakeHead`.
  var entriesPerPage: UInt64?
  /// Whether tails may hold a mask instead of a pointer: since 7.1 (`compound_info`), if a struct page's size
  /// is a power of two.
  var tailsMayBeMasks: Bool
  /// What the free lists say of the blocks of each account and order. Empty before they were asked.
  var verdicts: FreeVerdicts?
  /// Sections (as `LinkLedger.bucket` has them) in which the lists of pages do not hang together; nil before
  /// that is known.
  var brokenLinks: [Bool]?
  /// Sections whose map is refused.
  var refused: Set<UInt64> = []

  var strict: Bool { trust == .checked }
}

/// Zones by what `page.flags` says. Zones are counted in accounts: one each; one for those that flags don't
/// tell apart; one for all when flags can't be read.
struct ZoneRules: Sendable {
  static let unknownTag = -1
  /// A zone of a node that does not describe itself: its pages can be anything but free.
  static let silentNode = -2

  var field: ZoneField?
  /// Tag → account, or one of the above. One entry without a field.
  var accounts: [Int]
  /// Frames of each account.
  var frames: [Range<UInt64>]
  /// The zones of each account.
  var zones: [[Zone]]

  init(_ nodes: MemoryNodes, _ field: ZoneField?) {
    self.field = field
    guard let field else {
      let all = nodes.zones
      accounts = [all.isEmpty ? ZoneRules.silentNode : 0]
      frames = all.isEmpty ? [] : [0..<1 << 40]
      zones = all.isEmpty ? [] : [all]
      return
    }
    accounts = Array(repeating: ZoneRules.unknownTag, count: 1 << Int(field.bits))
    frames = []
    zones = []
    for tag in accounts.indices where nodes.unreadable.contains(where: { field.tag(tag, isOf: $0) }) {
      accounts[tag] = ZoneRules.silentNode
    }
    for zone in nodes.zones {
      let tag = field.tag(node: zone.node, zone: zone.number)
      if accounts[tag] >= 0 {
        // Flags without node: zones of one number are one account.
        let account = accounts[tag]
        zones[account].append(zone)
        let (one, other) = (frames[account], zone.frames)
        frames[account] = min(one.lowerBound, other.lowerBound)..<max(one.upperBound, other.upperBound)
      } else {
        accounts[tag] = zones.count
        zones.append([zone])
        frames.append(zone.frames)
      }
    }
  }

  /// The account, or why there is none, of a page.
  func account(_ flags: UInt64) -> Int { field.map { accounts[$0.tag(flags)] } ?? accounts[0] }
  func name(_ account: Int) -> String { zones[account].map(\.name).joined(separator: "; ") }
}

/// For each account and order of free blocks, what the free lists say.
struct FreeVerdicts: Sendable {
  enum Verdict: Sendable, Equatable {
    /// All blocks that are marked are on the lists, and nothing else is.
    case confirmed
    /// Those in `listed` are.
    case listedOnly
    /// None is believed, because this check failed.
    case refused(Check)
  }

  var verdicts: [Verdict]
  let orders: Int
  /// Blocks that the walk found on their lists, marked as they should be.
  var listed: FrameSet
  /// Whether unaccepted memory is confirmed, by account.
  var unaccepted: [Bool]

  init(accounts: Int, orders: Int, sectionShift: UInt64) {
    self.orders = orders
    verdicts = Array(repeating: .confirmed, count: accounts * orders)
    listed = FrameSet(sectionShift: sectionShift)
    unaccepted = Array(repeating: true, count: accounts)
  }

  subscript(_ account: Int, _ order: Int) -> Verdict {
    get { verdicts[account * orders + order] }
    set { verdicts[account * orders + order] = newValue }
  }

  /// Whether a scan believing every mark gives the same result.
  var isClean: Bool { verdicts.allSatisfy { $0 == .confirmed } && !unaccepted.contains(false) }
}
