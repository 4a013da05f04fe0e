/// What the pages of one 4 MiB block are, and the free lists' share of it. Blocks are as large as the largest
/// buddy order (MAX_PAGE_ORDER 10), so nothing but a 1 GiB page crosses their border.
struct BlockPattern: Sendable {
  static let order = 10
  static let pages = 1 << order
  static let orders = order + 1
  /// Free lists are numbered `order * 8 + migrate type`.
  static let lists = orders * 8

  /// 1024 of them.
  let entries: [SyntheticPage]
  /// For each free list the heads in this block, in the order in which they stand in the list.
  let freeHeads: [[UInt16]]
  /// For each page that is a free head, its place in that list.
  let place: [UInt16]
  /// The pages on the LRU, ascending: the LRU of a block is a ring of its own, without a head.
  private let listed: [UInt16]

  init(_ entries: [SyntheticPage], _ random: inout SeededRandom) {
    precondition(entries.count == BlockPattern.pages)
    self.entries = entries
    var heads = [[UInt16]](repeating: [], count: BlockPattern.lists)
    for (offset, entry) in entries.enumerated() where entry.kind == .buddy && entry.index == 0 {
      heads[BlockPattern.list(entry)].append(UInt16(offset))
    }
    var place = [UInt16](repeating: 0, count: entries.count)
    for list in heads.indices {
      heads[list].shuffle(using: &random)
      for (index, offset) in heads[list].enumerated() { place[Int(offset)] = UInt16(index) }
    }
    freeHeads = heads
    self.place = place
    // A poisoned page is taken off its list (mm/memory-failure.c).
    listed = entries.indices.filter { entries[$0].kind.isOnLRU && entries[$0].index == 0 && !entries[$0].isPoisoned }
      .map { UInt16($0) }
  }

  /// What follows and what precedes the page at `offset` on the LRU; nil where it is there alone.
  func neighbours(_ offset: Int) -> (Int, Int)? {
    let place = listed.partitionPoint { $0 < offset }
    guard listed.count > 1, place < listed.count, listed[place] == offset else { return nil }
    return (Int(listed[(place + 1) % listed.count]), Int(listed[(place + listed.count - 1) % listed.count]))
  }

  static func list(_ entry: SyntheticPage) -> Int { Int(entry.order) * 8 + Int(entry.migrateType) }
}

/// Makes blocks that look like memory after a month of use.
///
/// The distribution (of blocks, before the border between zones cuts in):
///
/// - 6 % are one free chunk of order 10; 30 % are made of two huge pages (THP; every fifth a hugetlb page).
///   Together these are what `fragmentedShare` leaves.
/// - In the rest each pageblock (512 pages) for itself: 12 % one huge page, 4 % one free chunk of order 9, 84
///   % fragmented.
/// - Pageblocks are movable 72 %, unmovable 14 %, reclaimable 12 %, high-atomic 2 % (MIGRATE_TYPES,
///   include/linux/mmzone.h); in zone Movable all are movable.
/// - Fragmented pageblocks are a row of runs whose kinds are drawn from the table of the pageblock's type.
///   Runs of single pages are geometric with ratio 0.73, median 3 pages; one in twelve is sixteen times as
///   long (readahead, a large allocation that was filled in one go).
/// - Free chunks have orders 0, 1, 2 … with ratio 0.5 and a long tail, less where alignment forbids it; two
///   buddies are never both free (they would have been merged), so that the lists hold what a real allocator
///   leaves.
/// - In the free lists the chunks of one block stand together, shuffled, as a batch freed from a per-CPU list
///   does; the blocks follow one another in pseudo-random order (`Permutation`).
struct PatternMaker {
  let generation: KernelGeneration
  var random: SeededRandom

  init(_ generation: KernelGeneration, seed: UInt64) {
    self.generation = generation
    random = SeededRandom(seed)
  }

  enum Mobility: UInt8 { case unmovable = 0, movable = 1, reclaimable = 2, highAtomic = 3 }

  /// Pattern `number` of `total`: shapes are dealt in proportion, so that a small set has them all.
  mutating func block(_ number: Int, of total: Int, fragmentedShare: Int, movableOnly: Bool) -> BlockPattern {
    let wholeShare = 100 - fragmentedShare
    let share = (number * 100 + 50) / total
    var pages: [SyntheticPage] = []
    if share < wholeShare / 6 {
      append(.buddy, order: 10, migrateType: Mobility.movable.rawValue, to: &pages)
    } else if share < wholeShare {
      for _ in 0..<2 { appendHugePage(&pages) }
    } else {
      for half in 0..<2 { appendPageblock(movableOnly ? .movable : mobility(number * 2 + half), &pages) }
    }
    return BlockPattern(pages, &random)
  }

  /// A block of which only `memory` (offsets into it) can be used; the rest is `outside`. For the edges of
  /// memory.
  mutating func partialBlock(memory: [Range<Int>], outside: (Int) -> PageKind) -> BlockPattern {
    var pages: [SyntheticPage] = []
    while pages.count < BlockPattern.pages {
      if let range = memory.first(where: { $0.contains(pages.count) }) {
        appendFragments(until: min(range.upperBound, (pages.count / 512 + 1) * 512), .movable, &pages)
      } else {
        pages.append(SyntheticPage(outside(pages.count)))
      }
    }
    return BlockPattern(pages, &random)
  }

  /// A block for what is rare and of interest: poisoned pages alone and inside larger ones.
  mutating func exhibit() -> BlockPattern {
    var pages: [SyntheticPage] = []
    // A tail of a transparent huge page has gone bad (PG_has_hwpoisoned): class and fate are still the
    // head's.
    append(.transparentHuge, order: 9, to: &pages)
    pages[300].isPoisoned = true
    for _ in 0..<3 { pages.append(SyntheticPage(.poisoned)) }
    // A page of a file that could not be cut out of the cache.
    pages.append(SyntheticPage(.fileCache, isPoisoned: true))
    for _ in 0..<6 { pages.append(SyntheticPage(.offline)) }
    for _ in 0..<6 { pages.append(SyntheticPage(.swapReadahead)) }
    appendFragments(until: BlockPattern.pages, .movable, &pages)
    return BlockPattern(pages, &random)
  }

  // MARK: pieces

  private mutating func mobility(_ number: Int) -> Mobility {
    // A stride that is prime to 100 deals the shares evenly.
    switch number * 37 % 100 {
    case ..<72: .movable
    case ..<86: .unmovable
    case ..<98: .reclaimable
    default: .highAtomic
    }
  }

  private mutating func appendHugePage(_ pages: inout [SyntheticPage]) {
    let isHugetlb = random.chance(1, of: 5)
    append(isHugetlb ? .hugetlb : .transparentHuge, order: 9, to: &pages)
    // Hugetlb keeps a page that went bad in one of its tails until it is freed.
    if isHugetlb, random.chance(1, of: 8) { pages[pages.count - 100].isPoisoned = true }
  }

  private mutating func appendPageblock(_ mobility: Mobility, _ pages: inout [SyntheticPage]) {
    let draw = random.below(100)
    if draw < 12, mobility == .movable { return appendHugePage(&pages) }
    if draw >= 96, canBeFree(order: 9, at: pages.count, pages) {
      return append(.buddy, order: 9, migrateType: mobility.rawValue, to: &pages)
    }
    appendFragments(until: pages.count + 512, mobility, &pages)
  }

  private mutating func appendFragments(until end: Int, _ mobility: Mobility, _ pages: inout [SyntheticPage]) {
    while pages.count < end {
      let kind = kind(mobility)
      let left = end - pages.count
      let largest = min(pages.count.trailingZeroBitCount, left.bitWidth - 1 - left.leadingZeroBitCount)
      switch kind {
      case .buddy:
        let order = min(random.geometric(128, limit: 9), largest)
        if canBeFree(order: order, at: pages.count, pages) {
          append(.buddy, order: order, migrateType: mobility.rawValue, to: &pages)
        } else {
          pages.append(SyntheticPage(.kernel))
        }
      case .slab: append(.slab, order: min(random.below(4), largest), to: &pages)
      case .largeKmalloc, .kernelCompound: append(kind, order: min(1 + random.below(4), largest), to: &pages)
      case .fileCache where generation.hasLargeCacheFolios && random.chance(1, of: 6):
        append(kind, order: min(2 + random.below(3), largest), to: &pages)
      case .anonymous where generation.hasLargeAnonFolios && random.chance(1, of: 6):
        append(kind, order: min(4, largest), to: &pages)
      default:
        var length = 1 + random.geometric(187, limit: 64)
        if random.chance(1, of: 12) { length *= 16 }
        for _ in 0..<min(length, left) { append(kind, order: 0, to: &pages) }
      }
    }
  }

  private mutating func kind(_ mobility: Mobility) -> PageKind {
    let weights: [(PageKind, Int)] =
      switch mobility {
      case .movable, .highAtomic:
        [
          (.buddy, 300), (.fileCache, 240), (.filePrivate, 70), (.anonymous, 220), (.swapCached, 20), (.tmpfs, 50),
          (.swapReadahead, 5), (.ksm, 10), (.movableKernel, 10), (.anonymousOffLRU, 5), (.fileOffLRU, 7),
          (.perCPUFree, 15), (.kernel, 10),
        ]
      case .unmovable:
        [
          (.buddy, 240), (.slab, 300), (.kernel, 220), (.pageTable, 140), (.largeKmalloc, 60), (.zsmalloc, 40),
          (.kernelCompound, 30), (.perCPUFree, 20),
        ]
      case .reclaimable: [(.buddy, 240), (.slab, 620), (.filePrivate, 80), (.kernel, 60), (.perCPUFree, 20)]
      }
    var draw = random.below(weights.reduce(0) { $0 + $1.1 })
    for (kind, weight) in weights {
      if draw < weight { return kind }
      draw -= weight
    }
    return .kernel
  }

  /// Whether a free chunk here would have been merged with the one before it: then there can't be one.
  private func canBeFree(order: Int, at offset: Int, _ pages: [SyntheticPage]) -> Bool {
    guard order < BlockPattern.order, offset & (1 << order) != 0 else { return true }
    let buddy = pages[offset - (1 << order)]
    return !(buddy.kind == .buddy && buddy.index == 0 && Int(buddy.order) == order)
  }

  private func append(_ kind: PageKind, order: Int, migrateType: UInt8 = 0, to pages: inout [SyntheticPage]) {
    for index in 0..<(1 << order) {
      pages.append(SyntheticPage(kind, order: UInt8(order), migrateType: migrateType, index: UInt32(index)))
    }
  }
}

/// The patterns that the ordinary blocks of a zone take turns with, and how to get from one free chunk to the
/// next.
///
/// The block at position p of the zone's permutation has pattern p modulo their number. All sums over a zone
/// are so a matter of multiplication, and a neighbour in a free list is found without looking at the blocks
/// between.
struct PatternSet: Sendable {
  let patterns: [BlockPattern]
  /// For pattern and list: how many positions on (1 to the number of patterns) the list goes on; 0 where it
  /// is in no pattern.
  private let ahead: [UInt16]
  private let behind: [UInt16]
  /// Positions from 0 on to the first pattern with the list.
  private let first: [UInt16?]

  init(_ patterns: [BlockPattern]) {
    self.patterns = patterns
    let count = patterns.count
    var ahead = [UInt16](repeating: 0, count: count * BlockPattern.lists)
    var behind = ahead
    var first = [UInt16?](repeating: nil, count: BlockPattern.lists)
    for list in 0..<BlockPattern.lists {
      let holders = patterns.indices.filter { !patterns[$0].freeHeads[list].isEmpty }
      first[list] = holders.first.map(UInt16.init)
      for pattern in patterns.indices where !holders.isEmpty {
        ahead[pattern * BlockPattern.lists + list] =
          UInt16(holders.lazy.map { ($0 - pattern + count - 1) % count + 1 }.min() ?? 0)
        behind[pattern * BlockPattern.lists + list] =
          UInt16(holders.lazy.map { (pattern - $0 + count - 1) % count + 1 }.min() ?? 0)
      }
    }
    self.ahead = ahead
    self.behind = behind
    self.first = first
  }

  func pattern(at position: UInt64) -> BlockPattern { patterns[index(at: position)] }
  func index(at position: UInt64) -> Int { Int(position % UInt64(patterns.count)) }

  /// How many of `count` positions have pattern `index`.
  func uses(of index: Int, in count: UInt64) -> UInt64 {
    (count + UInt64(patterns.count - 1 - index)) / UInt64(patterns.count)
  }

  /// The first position with `list` after `position` (nil: from the start), below `count`.
  func next(_ list: Int, after position: UInt64?, count: UInt64) -> UInt64? {
    let next: UInt64
    if let position {
      let step = ahead[index(at: position) * BlockPattern.lists + list]
      if step == 0 { return nil }
      next = position + UInt64(step)
    } else {
      guard let start = first[list] else { return nil }
      next = UInt64(start)
    }
    return next < count ? next : nil
  }

  /// The last position with `list` before `position`, which may be the number of positions.
  func previous(_ list: Int, before position: UInt64) -> UInt64? {
    let step = UInt64(behind[index(at: position) * BlockPattern.lists + list])
    return step == 0 || step > position ? nil : position - step
  }
}
