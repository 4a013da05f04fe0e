internal import DumpBasics

/// One zone of a node, with its free lists. Zone types are numbered as in enum zone_type
/// (include/linux/mmzone.h): DMA, DMA32, Normal, Movable, Device.
public final class SyntheticZone: Sendable {
  public static let types = 5
  public static let movable = 3

  public let node: Int
  public let type: Int
  /// `zone_start_pfn` and `spanned_pages`: from the first page of memory to behind the last, holes included.
  public let span: Range<UInt64>
  /// Pages of memory in it.
  public let presentPages: UInt64
  let patterns: PatternSet
  /// The ordinary blocks: runs of them, each with the number of blocks before it.
  let runs: [BlockRun]
  let regularCount: UInt64
  private let permutation: Permutation
  /// Blocks with a pattern of their own. Their chunks stand at the end of the free lists.
  let specials: [SpecialBlock]
  let unacceptedBlocks: UInt64

  struct BlockRun: Sendable {
    var firstBlock: UInt64
    var count: UInt64
    var before: UInt64
  }
  struct SpecialBlock: Sendable {
    var block: UInt64
    var pattern: BlockPattern
  }

  init(
    node: Int, type: Int, span: Range<UInt64>, presentPages: UInt64, patterns: PatternSet, runs: [BlockRun],
    specials: [SpecialBlock], unacceptedBlocks: UInt64, seed: UInt64
  ) {
    self.node = node
    self.type = type
    self.span = span
    self.presentPages = presentPages
    self.patterns = patterns
    self.runs = runs
    self.specials = specials
    self.unacceptedBlocks = unacceptedBlocks
    regularCount = runs.last.map { $0.before + $0.count } ?? 0
    permutation = Permutation(count: max(regularCount, 1), seed: seed)
  }

  // MARK: positions: 0 ..< regularCount are the ordinary blocks in the order of the permutation, then the
  // special ones

  func position(ofRegular index: UInt64) -> UInt64 { permutation.inverse(index) }

  func block(at position: UInt64) -> UInt64 {
    if position >= regularCount { return specials[Int(position - regularCount)].block }
    let index = permutation(position)
    let run = runs[runs.partitionPoint { $0.before + $0.count <= index }]
    return run.firstBlock + (index - run.before)
  }

  func pattern(at position: UInt64) -> BlockPattern {
    position < regularCount ? patterns.pattern(at: position) : specials[Int(position - regularCount)].pattern
  }

  // MARK: free lists

  /// Free chunks of a list (`BlockPattern.list`): what `free_area.nr_free` is the sum of.
  func chunks(_ list: Int) -> UInt64 {
    var count: UInt64 = 0
    for (index, pattern) in patterns.patterns.enumerated() where !pattern.freeHeads[list].isEmpty {
      count += patterns.uses(of: index, in: regularCount) * UInt64(pattern.freeHeads[list].count)
    }
    return specials.reduce(count) { $0 + UInt64($1.pattern.freeHeads[list].count) }
  }

  /// `free_area[order].nr_free`.
  public func freeChunks(order: Int) -> UInt64 { (0..<8).reduce(0) { $0 + chunks(order * 8 + $1) } }

  /// Pages in the free lists.
  public var buddyPages: UInt64 { (0..<BlockPattern.orders).reduce(0) { $0 + freeChunks(order: $1) << UInt64($1) } }

  /// `vm_stat[NR_FREE_PAGES]`: unaccepted memory counts as free (__free_unaccepted, mm/page_alloc.c).
  public var freePages: UInt64 { buddyPages + unacceptedBlocks << UInt64(BlockPattern.order) }

  /// The first free chunk of a list, by its pfn.
  func firstHead(_ list: Int) -> UInt64? { nextPosition(list, after: nil).map { head(list, $0, place: 0) } }
  func lastHead(_ list: Int) -> UInt64? {
    previousPosition(list, before: regularCount + UInt64(specials.count)).map { head(list, $0, place: nil) }
  }

  /// The chunk after the one at `place` of the block at `position`; nil at the end of the list.
  func headAfter(_ list: Int, _ position: UInt64, place: Int) -> UInt64? {
    if place + 1 < pattern(at: position).freeHeads[list].count { return head(list, position, place: place + 1) }
    return nextPosition(list, after: position).map { head(list, $0, place: 0) }
  }

  func headBefore(_ list: Int, _ position: UInt64, place: Int) -> UInt64? {
    if place > 0 { return head(list, position, place: place - 1) }
    return previousPosition(list, before: position).map { head(list, $0, place: nil) }
  }

  /// `place` nil: the last of the block.
  private func head(_ list: Int, _ position: UInt64, place: Int?) -> UInt64 {
    let heads = pattern(at: position).freeHeads[list]
    return block(at: position) << UInt64(BlockPattern.order) + UInt64(heads[place ?? heads.count - 1])
  }

  private func nextPosition(_ list: Int, after position: UInt64?) -> UInt64? {
    if position.map({ $0 < regularCount }) ?? true,
      let next = patterns.next(list, after: position, count: regularCount)
    {
      return next
    }
    let start = max(regularCount, position.map { $0 + 1 } ?? 0)
    return (start..<regularCount + UInt64(specials.count)).first { !pattern(at: $0).freeHeads[list].isEmpty }
  }

  private func previousPosition(_ list: Int, before position: UInt64) -> UInt64? {
    if position > regularCount,
      let found = (regularCount..<position).last(where: { !pattern(at: $0).freeHeads[list].isEmpty })
    {
      return found
    }
    return patterns.previous(list, before: min(position, regularCount))
  }
}
