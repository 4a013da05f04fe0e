internal import DumpBasics

/// Classifies the pages of one section from their `struct page`s, in the order of the map: the tight loop.
///
/// First match wins (docs: "What a struct page says"): poisoned hardware, tail, compound head, type, then
/// flags and mapping. What could be left out has to bring evidence from several words that agree; what does
/// not is kept, with the check that failed in its place.
///
/// Counts and offsets here are below 2^24 pages of at most 256 bytes: wrapping operators can't wrap, except
/// where said.
struct MapScan {
  let rules: ScanRules
  let layout: PageLayout
  let section: MapSection
  let firstFrame: UInt64

  /// Runs of the section: (end of the run, in pages from the section's start) << 8 | code.
  private(set) var runs: [UInt32]
  var runEnd = 0
  var runCode = RunCode.kernel

  /// The compound page whose tails come next.
  var head = Head()
  struct Head {
    var code = RunCode.kernel
    /// What its tails hold: the head's address with bit 0 set; or a mask, since 7.1.
    var tail: UInt64 = 0
    var mask: UInt64 = 0
    var frame: UInt64 = 0
    var end: UInt64 = 0
    var flags: UInt64 = 0
    var isHuge = false
  }

  /// The last node and zone that were found right, so that most pages cost one comparison.
  var knownTag = Int.min
  var knownAccount = 0
  var knownFrames: Range<UInt64> = 0..<0

  var tally: ScanTally
  var ledger: FreeLedger
  var links: LinkLedger
  let reader: LinkReader
  let bucket: Int
  /// Of the links from this section, and from the one that was named last: nearly all neighbours are near.
  var ownLinks: UInt64 = 0
  var nearLinks: UInt64 = 0
  var nearBucket = 0
  /// Whether the lists of some section are broken.
  let asksNeighbours: Bool
  /// Bytes of a section's map, as a shift where that can be.
  let mapShift: UInt64?
  /// For plain pages on the LRU.
  let listedRules: ListedRules?

  init(
    _ rules: ScanRules, _ section: MapSection, reusing runs: [UInt32], _ tally: ScanTally, _ ledger: FreeLedger,
    _ links: LinkLedger, _ reader: LinkReader
  ) {
    self.links = links
    self.reader = reader
    bucket = LinkLedger.bucket(section.number)
    nearBucket = bucket
    asksNeighbours = rules.brokenLinks != nil
    let size = UInt64(rules.layout.size)
    mapShift = size & (size - 1) == 0 ? UInt64(size.trailingZeroBitCount) + rules.geometry.shift : nil
    listedRules = ListedRules(rules, mapShift: mapShift)
    self.rules = rules
    layout = rules.layout
    self.section = section
    firstFrame = section.number << rules.geometry.shift
    self.runs = runs
    self.runs.removeAll(keepingCapacity: true)
    self.tally = tally
    self.ledger = ledger
  }

  /// Call once after the last piece.
  mutating func finish() -> [UInt32] {
    links.add(ownLinks, bucket)
    links.add(nearLinks, nearBucket)
    if runEnd > 0 { runs.append(UInt32(truncatingIfNeeded: runEnd) << 8 | UInt32(runCode.rawValue)) }
    return runs
  }

  /// The pages up to `end` (from the section's start) are `code`.
  @inline(__always) mutating func emit(_ code: RunCode, upTo end: Int) {
    if code != runCode {
      if runEnd > 0 { runs.append(UInt32(truncatingIfNeeded: runEnd) << 8 | UInt32(runCode.rawValue)) }
      runCode = code
    }
    runEnd = end
  }

  @inline(__always) mutating func fail(_ check: Check) -> RunCode {
    tally.failed[check.rawValue] &+= 1
    return RunCode(kept: check)
  }

  // MARK: The loop

  /// Classifies `count` pages, of which `view` holds the map; the first is `offset` pages into the section.
  /// Pieces come in order and without gaps, and no free block crosses their borders.
  mutating func scan(_ view: MapView, offset: Int, count: Int) {
    let headBit = layout.bits.head
    let poison = layout.bits.poison
    let (flagsAt, compoundAt, typeAt, mappingAt) = (layout.flags, layout.compound, layout.type, layout.mapping)
    let (listedBit, listedRules) = (layout.bits.lru, self.listedRules)
    let (slab, claims) = (layout.bits.slab, layout.bits.lru | layout.bits.swap)
    let base = firstFrame &+ UInt64(offset)
    var index = 0
    while index < count {
      let flags = view.u64(index, flagsAt)
      if flags & listedBit != 0, let listedRules {
        let next = listed(view, index, count, offset, listedRules)
        if next > index {
          index = next
          continue
        }
      }
      let word = view.u64(index, compoundAt)
      if word & 1 != 0 {
        index = tails(view, index, count, offset, word, flags)
        continue
      }
      if flags & (headBit | poison) != 0 {
        emit(headOrPoison(view, index, base &+ UInt64(index), flags, word), upTo: offset &+ index &+ 1)
        index &+= 1
        continue
      }
      let type = view.u32(index, typeAt)
      if Int32(bitPattern: type) < -1 {
        index = typed(view, index, count, offset, type, flags, word)
        continue
      }
      // Most of what is left claims nothing, and is the kernel's: see `evidence`.
      let code: RunCode =
        if flags & slab != 0 {
          .slab
        } else if flags & claims == 0 && view.u64(index, mappingAt) & 1 == 0 {
          .kernel
        } else {
          evidence(view, index, base &+ UInt64(index), flags, word)
        }
      emit(code, upTo: offset &+ index &+ 1)
      index &+= 1
    }
  }
}
