internal import DumpBasics
public import DumpSource

/// Makes damage: mutation `number` of a seed is always the same, and independent of all others.
///
/// Works over any undamaged dump, synthetic or real. Every mutation hits bytes that a classifier has to read,
/// and changes them.
public struct Mutator: Sendable {
  private let targets: MutationTargets
  private let seed: UInt64
  private let text: [UInt8]
  private let victims: [Range<UInt64>]

  /// `victims`: frames that half of the damage to struct pages hits; on most machines few pages are worth
  /// losing.
  /// - Throws: when the dump's own structures can't be found.
  public init(_ source: any DumpSource, seed: UInt64, victims: [Range<UInt64>] = []) throws {
    let targets = try MutationTargets(source)
    self.targets = targets
    self.seed = seed
    // Only those that have a struct page.
    self.victims = victims.flatMap { range in targets.frames.map { $0.clamped(to: range) } }.filter { !$0.isEmpty }
    text = source.notes.first(where: \.isVMCoreInfo)?.descriptor ?? []
  }

  /// Kinds take turns.
  public func mutation(_ number: Int) -> Mutation {
    let kinds = Mutation.Kind.allCases
    return mutation(number, kinds[number % kinds.count])
  }

  /// The frames of a zone, as it says itself; and of those that its pages do not tell apart from it.
  public func frames(node: Int, zone: Int) -> [Range<UInt64>] {
    targets.zones.filter { $0.type == zone && ($0.node == node || !targets.pagesNameNode) }.map(\.frames)
  }
  /// The frames of the zones that some of `frames` lie in.
  public func zoneFrames(of frames: Range<UInt64>) -> [Range<UInt64>] {
    targets.zones.filter { $0.frames.overlaps(frames) }.flatMap { self.frames(node: $0.node, zone: $0.type) }
  }

  public func mutation(_ number: Int, _ kind: Mutation.Kind) -> Mutation {
    var random = SeededRandom(SeededRandom.mix(seed) ^ SeededRandom.mix(UInt64(number) &* 31 &+ 7))
    var result = Mutation(number, kind)
    // A place can turn out unusable: another is drawn then. On a machine just booted most free lists are
    // empty.
    for _ in 0..<1024 where result.isEmpty {
      var draft = MutationDraft(targets, text, victims, random, Mutation(number, kind))
      draft.draw()
      result = draft.mutation
      random = draft.random
    }
    return result
  }
}

/// One mutation in the making.
struct MutationDraft {
  let targets: MutationTargets
  let text: [UInt8]
  let victims: [Range<UInt64>]
  var random: SeededRandom
  var mutation: Mutation

  init(
    _ targets: MutationTargets, _ text: [UInt8], _ victims: [Range<UInt64>], _ random: SeededRandom, _ mutation: Mutation
  ) {
    self.targets = targets
    self.text = text
    self.victims = victims
    self.random = random
    self.mutation = mutation
  }

  mutating func draw() { draw(mutation.kind) }

  private mutating func draw(_ kind: Mutation.Kind) {
    switch kind {
    case .sectionTable: hitSectionTable()
    case .structPage: hitStructPage()
    case .plausiblePage: hitPlausibly()
    case .freeListLink: hitLink()
    case .freeListHead: hitListHead()
    case .freeListLoop: makeLoop()
    case .zoneField: hitZone()
    case .nodeField: hitNode()
    case .pageTable: hitPageTable()
    case .vmcoreinfo: hitText()
    case .unmappedSection: unmapSection()
    case .metadataPage: hitMetadataPage()
    case .manyStructPages:
      var frames: Set<UInt64> = []
      for _ in 0..<16384 where frames.count < 4096 { frames.insert(frame()) }
      for frame in frames.sorted() {
        if let page = targets.page(frame) { patch(page, noise(targets.pageSize), "") }
      }
      mutation.text = "\(mutation.patches.count) random struct pages"
    case .everything:
      let single = Mutation.Kind.allCases.filter { ![.everything, .manyStructPages, .vmcoreinfo].contains($0) }
      for kind in single {
        for _ in 0..<(kind == .structPage || kind == .plausiblePage ? 200 : 4) { draw(kind) }
      }
      mutation.place = Mutation.Place()
      mutation.text = "\(mutation.patches.count) patches in all structures"
    }
  }

  // MARK: writing

  /// Replaces `size` bytes; nothing where they are that already, or are not in the dump.
  mutating func patch(_ address: UInt64, _ value: UInt64, size: Int = 8, _ text: String) {
    patch(address, Mutation.bytes(value, size), "\(text) is \(hex(value))")
  }

  mutating func patch(_ address: UInt64, _ bytes: [UInt8], _ text: String) {
    guard let old = targets.load(address, bytes.count), old != bytes else { return }
    mutation.patches.append(Mutation.Patch(address: PhysicalAddress(address), bytes: bytes))
    mutation.text += (mutation.text.isEmpty ? "" : "; ") + text
  }

  /// A damaged version of a word: a bit, a byte, a half, all of it, nothing, all ones, one more or less.
  mutating func damaged(_ old: UInt64, bits: Int = 64) -> UInt64 {
    let mask: UInt64 = bits == 64 ? .max : 1 << UInt64(bits) - 1
    let value: UInt64 =
      switch random.below(8) {
      case 0, 1: old ^ 1 << UInt64(random.below(bits))
      case 2: old ^ (random.next() & 0xff) << UInt64(random.below(bits / 8) * 8)
      case 3: old & 0xffff_ffff | random.next() << 32
      case 4: random.next()
      case 5: 0
      case 6: .max
      default: random.chance(1, of: 2) ? old &+ 1 : old &- 1
      }
    return value & mask
  }

  mutating func noise(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) } }

  mutating func frame() -> UInt64 {
    let frames = !victims.isEmpty && random.chance(1, of: 2) ? victims : targets.frames
    var left = random.next() % frames.reduce(0) { $0 + UInt64($1.count) }
    for range in frames {
      if left < UInt64(range.count) { return range.lowerBound + left }
      left -= UInt64(range.count)
    }
    return 0
  }

  mutating func place(_ frame: UInt64) { mutation.place = Mutation.Place(section: frame >> 15, frame: frame) }
}
