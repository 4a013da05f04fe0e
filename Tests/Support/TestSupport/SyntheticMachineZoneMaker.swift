internal import DumpBasics

/// Cuts each node's memory into zones and each zone's blocks into ordinary, special and uniform ones.
struct ZoneMaker {
  private let configuration: SyntheticMachineConfiguration
  private let memory: [Range<UInt64>]
  /// Blocks with a use already: the kernel's own.
  private let taken: [(Range<UInt64>, MachinePlan.Source)]
  private var maker: PatternMaker
  private let general: PatternSet
  private let movable: PatternSet
  private(set) var zones: [SyntheticZone] = []
  private(set) var extents: [MachinePlan.Extent] = []

  private static let pages = UInt64(BlockPattern.pages)
  /// Where the zones end (MAX_DMA_PFN, MAX_DMA32_PFN: arch/x86/include/asm/dma.h), but for Movable, which has
  /// no place.
  private static let ends: [UInt64] = [1 << 12, 1 << 20, .max]

  init(
    _ configuration: SyntheticMachineConfiguration, _ memory: [Range<UInt64>], _ taken: [(Range<UInt64>, MachinePlan.Source)]
  ) {
    self.configuration = configuration
    self.memory = memory
    self.taken = taken
    var maker = PatternMaker(configuration.generation, seed: configuration.seed)
    let count = configuration.patterns
    let share = configuration.fragmentedShare
    general = PatternSet((0..<count).map { maker.block($0, of: count, fragmentedShare: share, movableOnly: false) })
    movable = PatternSet((0..<count).map { maker.block($0, of: count, fragmentedShare: share, movableOnly: true) })
    self.maker = maker
  }

  mutating func makeZones(_ nodes: [Range<UInt64>], movableStart: UInt64) {
    var spans: [(node: Int, type: Int, span: Range<UInt64>)] = []
    for (node, nodeSpan) in nodes.enumerated() {
      let fixedEnd = node == nodes.count - 1 ? min(movableStart, nodeSpan.upperBound) : nodeSpan.upperBound
      var start: UInt64 = 0
      for (type, limit) in ZoneMaker.ends.enumerated() {
        spans.append((node, type, clipped(max(start, nodeSpan.lowerBound), min(limit, fixedEnd))))
        start = limit
      }
      spans.append((node, SyntheticZone.movable, clipped(max(fixedEnd, nodeSpan.lowerBound), nodeSpan.upperBound)))
    }
    // What is rare is shown in the largest zone.
    let largest = spans.indices.max { spans[$0].span.count < spans[$1].span.count }
    for (index, zone) in spans.enumerated() where !zone.span.isEmpty {
      makeZone(zone.node, zone.type, zone.span, withExhibits: index == largest)
    }
  }

  /// Blocks of sections with a map that are in no zone: holes.
  mutating func fillHoles(_ blocks: [Range<UInt64>]) {
    let used = extents.map(\.blocks).sorted { $0.lowerBound < $1.lowerBound }
    for range in blocks {
      var cursor = range.lowerBound
      for other in used where other.overlaps(range) {
        append(cursor..<max(cursor, other.lowerBound), .uniform(zone: nil, .hole))
        cursor = other.upperBound
      }
      append(min(cursor, range.upperBound)..<range.upperBound, .uniform(zone: nil, .hole))
    }
  }

  // MARK: one zone

  /// The part of `start ..< end` from the first to the last page of memory.
  private func clipped(_ start: UInt64, _ end: UInt64) -> Range<UInt64> {
    guard start < end else { return start..<start }
    let pieces = memory.filter { $0.overlaps(start..<end) }
    guard let first = pieces.first, let last = pieces.last else { return start..<start }
    return max(start, first.lowerBound)..<min(end, last.upperBound)
  }

  private mutating func makeZone(_ node: Int, _ type: Int, _ span: Range<UInt64>, withExhibits: Bool) {
    let index = zones.count
    let blocks = span.lowerBound / ZoneMaker.pages..<(span.upperBound + ZoneMaker.pages - 1) / ZoneMaker.pages
    var uses = taken.filter { $0.0.overlaps(blocks) }.map { ($0.0, withZone($0.1, index)) }
    var specials: [SyntheticZone.SpecialBlock] = []
    for edge in Set([blocks.lowerBound, blocks.upperBound - 1]).sorted() where !isWhole(edge) {
      uses.append((edge..<edge + 1, .special(zone: index, index: specials.count)))
      specials.append(SyntheticZone.SpecialBlock(block: edge, pattern: edgePattern(edge)))
    }
    if withExhibits { addExhibits(blocks, index, &uses, &specials) }
    uses.sort { $0.0.lowerBound < $1.0.lowerBound }

    var runs: [SyntheticZone.BlockRun] = []
    var before: UInt64 = 0
    func regular(_ range: Range<UInt64>) -> MachinePlan.Source {
      defer { before += UInt64(range.count) }
      runs.append(SyntheticZone.BlockRun(firstBlock: range.lowerBound, count: UInt64(range.count), before: before))
      return .regular(zone: index, before: before)
    }
    var cursor = blocks.lowerBound
    for (range, source) in uses {
      if cursor < range.lowerBound { append(cursor..<range.lowerBound, regular(cursor..<range.lowerBound)) }
      append(range, source)
      cursor = range.upperBound
    }
    if cursor < blocks.upperBound { append(cursor..<blocks.upperBound, regular(cursor..<blocks.upperBound)) }

    let unaccepted = uses.reduce(UInt64(0)) { sum, use in
      if case .uniform(_, .unaccepted) = use.1 { sum + UInt64(use.0.count) } else { sum }
    }
    zones.append(
      SyntheticZone(
        node: node, type: type, span: span,
        presentPages: memory.reduce(0) { $0 + UInt64($1.clamped(to: span).count) },
        patterns: type == SyntheticZone.movable ? movable : general, runs: runs, specials: specials,
        unacceptedBlocks: unaccepted, seed: configuration.seed &+ UInt64(index) &* 0x9e37_79b9))
  }

  /// Rare things, each in blocks that would else be ordinary, spread over the zone.
  private mutating func addExhibits(
    _ blocks: Range<UInt64>, _ zone: Int, _ uses: inout [(Range<UInt64>, MachinePlan.Source)],
    _ specials: inout [SyntheticZone.SpecialBlock]
  ) {
    /// The first place from `start` on where `count` blocks, aligned to `alignment`, are ordinary.
    func place(_ count: UInt64, alignment: UInt64 = 1, from start: UInt64) -> Range<UInt64>? {
      var first = (start + alignment - 1) / alignment * alignment
      while first + count <= blocks.upperBound {
        if !uses.contains(where: { $0.0.overlaps(first..<first + count) }) { return first..<first + count }
        first += alignment
      }
      return nil
    }
    func part(_ numerator: UInt64, _ denominator: UInt64) -> UInt64 {
      blocks.lowerBound + UInt64(blocks.count) * numerator / denominator
    }
    for _ in 0..<configuration.giganticPages {
      guard let range = place(256, alignment: 256, from: blocks.lowerBound) else { break }
      uses.append((range, .gigantic(zone: zone)))
    }
    if let range = place(1, from: part(1, 3)) {
      uses.append((range, .special(zone: zone, index: specials.count)))
      specials.append(SyntheticZone.SpecialBlock(block: range.lowerBound, pattern: maker.exhibit()))
    }
    if let range = place(2, from: part(1, 2)) { uses.append((range, .uniform(zone: zone, .offline))) }
    if configuration.generation.hasUnaccepted, let range = place(3, from: part(2, 3)) {
      uses.append((range, .uniform(zone: zone, .unaccepted)))
    }
  }

  private func isWhole(_ block: UInt64) -> Bool {
    let pages = block * ZoneMaker.pages..<(block + 1) * ZoneMaker.pages
    // Page 0 is memory, and firmware's.
    return block > 0 && memory.contains { $0.clamped(to: pages) == pages }
  }

  /// A block at the edge of memory: the hole below 1 MiB is set up as reserved, what lies behind the end is
  /// not set up.
  private mutating func edgePattern(_ block: UInt64) -> BlockPattern {
    let start = block * ZoneMaker.pages
    let usable = memory.compactMap { range -> Range<Int>? in
      let piece = range.clamped(to: max(start, 1)..<start + ZoneMaker.pages)
      return piece.isEmpty ? nil : Int(piece.lowerBound - start)..<Int(piece.upperBound - start)
    }
    return maker.partialBlock(memory: usable) { offset in
      if block > 0 { .hole } else if offset == 0 { .reserved } else { .reservedHole }
    }
  }

  private func withZone(_ source: MachinePlan.Source, _ zone: Int) -> MachinePlan.Source {
    if case .uniform(_, let kind) = source { .uniform(zone: zone, kind) } else { source }
  }

  private mutating func append(_ blocks: Range<UInt64>, _ source: MachinePlan.Source) {
    if !blocks.isEmpty { extents.append(MachinePlan.Extent(blocks: blocks, source: source)) }
  }
}
