internal import DumpBasics

/// What nearly every page on the LRU looks like: most of memory is such pages, and they are classified at the
/// speed at which their words arrive. The words of each page are compared with constants that the rules give
/// once.
///
/// This only ever says yes, and only where `MapScan.evidence` says the same: a page that is anything but
/// plain goes there.
struct ListedRules: Sendable {
  /// `flags` under the mask must be these and the zone's.
  let flagsMask: UInt64
  let flags: UInt64
  /// A link less the base is an offset in the page map, in whole struct pages.
  let linkBase: UInt64
  let linkLimit: UInt64
  let directBase: UInt64
  let directSize: UInt64
  let field: ZoneField
  let mapShift: UInt64

  /// Nil where pages can't be judged so: not all checks are made, the maps are no common array, or lists are
  /// broken.
  init?(_ rules: ScanRules, mapShift: UInt64?) {
    guard rules.strict, rules.brokenLinks == nil, rules.mapSize > 0, let mapShift, let field = rules.zones.field,
      field.sectionBits == 0, rules.layout.bits.lru != 0, rules.mapBase % 8 == 0, rules.space.directBase % 8 == 0
    else { return nil }
    let bits = rules.layout.bits
    flagsMask = bits.lru | bits.head | bits.poison | bits.slab | field.mask
    flags = bits.lru
    linkBase = UInt64(rules.layout.lru) &+ rules.mapBase  // wraps only where the base is nonsense; then no link is in the map
    linkLimit = rules.mapSize
    directBase = rules.space.directBase
    directSize = rules.space.directSize
    self.field = field
    self.mapShift = mapShift
  }
}

extension MapScan {
  /// Classifies plain pages on the LRU from `first` on; the index of the first page that is none.
  mutating func listed(_ view: MapView, _ first: Int, _ count: Int, _ offset: Int, _ rules: ListedRules) -> Int {
    let size = layout.size
    let (lru, flagsAt) = (layout.lru, layout.flags)
    let (mappingAt, typeAt, referencesAt) = (layout.mapping, layout.type, layout.references)
    let alignment = UInt64(size) &- 1
    let privateData = layout.bits.privateData
    // The zone that was found right last: up to its end, as pages of this piece.
    let base = firstFrame &+ UInt64(offset)
    let frames = knownFrames
    guard frames.lowerBound <= base &+ UInt64(first), frames.upperBound > base else { return first }
    let limit = Int(truncatingIfNeeded: min(UInt64(count), frames.upperBound &- base))
    let plainFlags = rules.flags | rules.field.flags(knownTag)
    var place = section.map &+ UInt64(offset &+ first) &* UInt64(size) &+ UInt64(lru)
    var (own, near) = (ownLinks, nearLinks)
    // What `nearLinks` is the sum of: a bucket, of which the section is not known.
    var nearSection = UInt64.max
    var index = first
    // What the pages up to here are: bit 0 for anonymous ones, the flag for the others.
    var claim: UInt64?
    while index < limit {
      let at = index &* size
      let flags = view.u64(at: at &+ flagsAt)
      let next = view.u64(at: at &+ lru)
      let previous = view.u64(at: at &+ lru &+ 8)
      let mapping = view.u64(at: at &+ mappingAt)
      let after = next &- rules.linkBase
      let before = previous &- rules.linkBase
      let kind = mapping & 7
      guard flags & rules.flagsMask == plainFlags,
        // Links to other pages, see `linksAreRight`; and so no tail. `previous` alone leading to itself shows
        // in the sums.
        after < rules.linkLimit, before < rules.linkLimit, (after | before) & alignment == 0, next != place,
        // An address_space, or (bit 0) an anon_vma, or (bits 0 and 1) a node of KSM's tree.
        kind <= 1 || kind == 3, (mapping &- kind) &- rules.directBase < rules.directSize,
        Int32(bitPattern: view.u32(at: at &+ typeAt)) >= -1, Int32(bitPattern: view.u32(at: at &+ referencesAt)) > 0
      else { break }
      let from = before &>> rules.mapShift
      if from != nearSection {
        nearLinks = near
        move(to: LinkLedger.bucket(from))
        near = nearLinks
        nearSection = from
      }
      own &+= LinkLedger.hash(place, next)
      near &-= LinkLedger.hash(previous, place)
      let ownClaim = kind & 1 != 0 ? 1 : flags & privateData
      if ownClaim != claim {
        if let claim { emit(code(ofListed: claim), upTo: offset &+ index) }
        claim = ownClaim
      }
      place &+= UInt64(size)
      index &+= 1
    }
    if let claim { emit(code(ofListed: claim), upTo: offset &+ index) }
    (ownLinks, nearLinks) = (own, near)
    tally.candidates &+= UInt64(index &- first)
    tally.listed &+= UInt64(index &- first)
    return index
  }

  private func code(ofListed claim: UInt64) -> RunCode { RunCode(claim == 1 ? .user : claim == 0 ? .cache : .cachePrivate) }
}
