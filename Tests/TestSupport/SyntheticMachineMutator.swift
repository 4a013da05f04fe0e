internal import DumpBasics
public import DumpSource

/// Makes damage: mutation `number` of a seed is always the same, and independent of all others.
///
/// Works over any undamaged dump, synthetic or real. Every mutation hits bytes that a classifier has to read, and changes them.
public struct Mutator: Sendable {
  private let targets: MutationTargets
  private let seed: UInt64
  private let text: [UInt8]

  /// - Throws: when the dump's own structures can't be found.
  public init(_ source: any DumpSource, seed: UInt64) throws {
    targets = try MutationTargets(source)
    self.seed = seed
    text = source.notes.first(where: \.isVMCoreInfo)?.descriptor ?? []
  }

  /// Kinds take turns.
  public func mutation(_ number: Int) -> Mutation {
    let kinds = Mutation.Kind.allCases
    return mutation(number, kinds[number % kinds.count])
  }

  public func mutation(_ number: Int, _ kind: Mutation.Kind) -> Mutation {
    var random = SeededRandom(SeededRandom.mix(seed) ^ SeededRandom.mix(UInt64(number) &* 31 &+ 7))
    var result = Mutation(number, kind)
    // A place can turn out unusable: another is drawn then. On a machine just booted most free lists are empty.
    for _ in 0..<1024 where result.isEmpty {
      var draft = MutationDraft(targets, text, random, Mutation(number, kind))
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
  var random: SeededRandom
  var mutation: Mutation

  init(_ targets: MutationTargets, _ text: [UInt8], _ random: SeededRandom, _ mutation: Mutation) {
    self.targets = targets
    self.text = text
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
    case .everything:
      for kind in Mutation.Kind.allCases where kind != .everything && kind != .vmcoreinfo {
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

  mutating func frame() -> UInt64 {
    var left = random.next() % targets.frames.reduce(0) { $0 + UInt64($1.count) }
    for range in targets.frames {
      if left < UInt64(range.count) { return range.lowerBound + left }
      left -= UInt64(range.count)
    }
    return 0
  }

  mutating func place(_ frame: UInt64) { mutation.place = Mutation.Place(section: frame >> 15, frame: frame) }
}
