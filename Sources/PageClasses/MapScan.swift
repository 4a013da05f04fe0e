internal import DumpBasics

/// Classifies the pages of one section from their `struct page`s, in the order of the map: the tight loop.
///
/// First match wins (docs: "What a struct page says"): poisoned hardware, tail, compound head, type, then flags and
/// mapping. What could be left out has to bring evidence from several words that agree; what does not is kept, with the
/// check that failed in its place.
///
/// Counts and offsets here are below 2^24 pages of at most 256 bytes: wrapping operators can't wrap, except where said.
struct MapScan {
  private let rules: ScanRules
  private let layout: PageLayout
  private let section: MapSection
  private let firstFrame: UInt64

  /// Runs of the section: (end of the run, in pages from the section's start) << 8 | code.
  private(set) var runs: [UInt32]
  private var runEnd = 0
  private var runCode = RunCode.kernel

  /// The compound page whose tails come next.
  private var head = Head()
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
  private var knownTag = Int.min
  private var knownAccount = 0
  private var knownFrames: Range<UInt64> = 0..<0

  var tally: ScanTally
  var ledger: FreeLedger
  var links: LinkLedger
  private let reader: LinkReader
  private let bucket: Int
  /// Of the links from this section, and from the one that was named last: nearly all neighbours are near.
  private var ownLinks: UInt64 = 0
  private var nearLinks: UInt64 = 0
  private var nearBucket = 0
  /// Whether the lists of some section are broken.
  private let asksNeighbours: Bool
  /// Bytes of a section's map, as a shift where that can be.
  private let mapShift: UInt64?

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
  @inline(__always) private mutating func emit(_ code: RunCode, upTo end: Int) {
    if code != runCode {
      if runEnd > 0 { runs.append(UInt32(truncatingIfNeeded: runEnd) << 8 | UInt32(runCode.rawValue)) }
      runCode = code
    }
    runEnd = end
  }

  @inline(__always) private mutating func fail(_ check: Check) -> RunCode {
    tally.failed[check.rawValue] &+= 1
    return RunCode(kept: check)
  }

  // MARK: The loop

  /// Classifies `count` pages, of which `view` holds the map; the first is `offset` pages into the section. Pieces come
  /// in order and without gaps, and no free block crosses their borders.
  mutating func scan(_ view: MapView, offset: Int, count: Int) {
    let headBit = layout.bits.head
    let poison = layout.bits.poison
    let (flagsAt, compoundAt, typeAt) = (layout.flags, layout.compound, layout.type)
    let base = firstFrame &+ UInt64(offset)
    var index = 0
    while index < count {
      let word = view.u64(index, compoundAt)
      let flags = view.u64(index, flagsAt)
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
      emit(evidence(view, index, base &+ UInt64(index), flags, word), upTo: offset &+ index &+ 1)
      index &+= 1
    }
  }

  // MARK: Single pages and heads

  /// The class of a page that is neither typed nor a tail, by flags and mapping.
  @inline(__always)
  private mutating func evidence(_ view: MapView, _ index: Int, _ frame: UInt64, _ flags: UInt64, _ word: UInt64) -> RunCode {
    let bits = layout.bits
    // Slab's own fields lie over `mapping` since 6.2. From 6.10 on slab is a type, and the mask is 0.
    if flags & bits.slab != 0 { return .kernel }
    let mapping = view.u64(index, layout.mapping)
    let isAnonymous = mapping & 1 != 0
    let isListed = flags & bits.lru != 0
    if !isAnonymous && !isListed && (bits.swap == 0 || flags & bits.swap != bits.swap) { return .kernel }
    if rules.strict {
      tally.candidates &+= 1
      // Before anything else: that a page is on a list counts for its neighbours, whatever is wrong with it.
      let isLinked = !isListed || linksAreRight(word, view.u64(index, layout.lru &+ 8), of: frame)
      // PAGE_MAPPING_ANON is bit 0, KSM and movable pages have bit 1 (include/linux/page-flags.h).
      if isAnonymous {
        let pointer = mapping & ~3
        guard pointer & 7 == 0, rules.space.isDirect(pointer) else { return fail(.mapping) }
      } else {
        // Pages in the swap cache have none before a process maps them, or as tmpfs'; but they have a place in swap. A page
        // that was truncated while somebody held it has none either, and is kept: LRU or not, nothing says whose it is.
        let isSwap = bits.swap != 0 && flags & bits.swap == bits.swap
        guard mapping & 7 == 0 && rules.space.isDirect(mapping) || mapping == 0 && isSwap && hasSwapEntry(view, index)
        else { return fail(.mapping) }
      }
      // Someone holds it: the page cache, a page table, the swap cache.
      guard Int32(bitPattern: view.u32(index, layout.references)) > 0 else { return fail(.pageState) }
      if isListed {
        tally.listed &+= 1
        guard isLinked else { return fail(.lruLinks) }
      } else if isAnonymous {
        // Off the LRU it is on its way there or back, and never one that MADV_FREE gave up (those lose PG_swapbacked on
        // the LRU).
        guard flags & bits.swapBacked != 0 else { return fail(.pageState) }
      }
      guard account(flags, frame) != ZoneRules.unknownTag else { return fail(.pageZone) }
    }
    if isAnonymous { return RunCode(.user) }
    return RunCode(flags & bits.privateData != 0 ? .cachePrivate : .cache)
  }

  /// Whether `next` and `prev` of a page on the LRU lead to other pages or to list heads; not to itself, as those of pages
  /// that were never on a list do (__init_single_page, mm/mm_init.c). Since 5.18 mlocked pages have PG_lru and are on no
  /// list: then `next` is what list_del() left there (LIST_POISON1, include/linux/poison.h: 0x100 above
  /// CONFIG_ILLEGAL_POINTER_VALUE) or a link of before, and the low half of `prev` is a count (`mlock_count`).
  ///
  /// What the neighbours say is added up (`LinkLedger`), and read where the sums say that something is wrong: a page that
  /// neither neighbour knows is on no list, and its struct page may be another's.
  @inline(__always) private mutating func linksAreRight(_ next: UInt64, _ previous: UInt64, of frame: UInt64) -> Bool {
    let own = section.map &+ (frame &- firstFrame) &* UInt64(layout.size) &+ UInt64(layout.lru)
    let lru = UInt64(layout.lru)
    let after = next &- lru &- rules.mapBase  // wraps below the map, as in `isLink`
    let before = previous &- lru &- rules.mapBase
    guard after < rules.mapSize, before < rules.mapSize else { return otherLinksAreRight(own, next, previous, after, before) }
    guard isMultiple(after), isMultiple(before), next != own, previous != own else { return false }
    let origin = bucket(of: before)
    ownLinks &+= LinkLedger.hash(own, next)
    subtract(LinkLedger.hash(previous, own), origin)
    return !asksNeighbours || !isBroken(bucket) && !isBroken(origin) || reader.isLinked(own, next: next, previous: previous)
  }

  @inline(__always) private mutating func subtract(_ hash: UInt64, _ origin: Int) {
    if origin != nearBucket {
      links.add(nearLinks, nearBucket)
      nearLinks = 0
      nearBucket = origin
    }
    nearLinks &-= hash
  }

  private func isBroken(_ bucket: Int) -> Bool { rules.brokenLinks?[bucket] ?? false }

  /// For a page at the end of its list, one alone on it, one that is mlocked; and for all where maps are no common array.
  @inline(never)
  private mutating func otherLinksAreRight(
    _ own: UInt64, _ next: UInt64, _ previous: UInt64, _ after: UInt64, _ before: UInt64
  ) -> Bool {
    guard isLink(next) && isLink(previous) else {
      return next == 0xdead_0000_0000_0100 || (isLink(next) && next != own && previous >> 32 == 0xdead_0000)
    }
    if next == own || previous == own { return false }
    var suspect = false
    if after < rules.mapSize {
      ownLinks &+= LinkLedger.hash(own, next)
      suspect = isBroken(bucket)
    } else if before < rules.mapSize {
      subtract(LinkLedger.hash(previous, own), bucket(of: before))
      suspect = isBroken(bucket(of: before))
    } else {
      suspect = true
    }
    return !suspect || reader.isLinked(own, next: next, previous: previous)
  }

  /// The bucket of the section that has its map `distance` bytes into the common one.
  @inline(__always) private func bucket(of distance: UInt64) -> Int {
    if let mapShift { return LinkLedger.bucket(distance &>> mapShift) }
    return LinkLedger.bucket(distance / (rules.geometry.pages &* UInt64(layout.size)))
  }

  /// swp_entry_t (include/linux/swapops.h): bit 63 is clear, 5 bits of type (the swap device), an offset in pages. It is
  /// in `private` (`folio.swap` since 6.6, which lies there too).
  private func hasSwapEntry(_ view: MapView, _ index: Int) -> Bool {
    let entry = view.u64(index, layout.privateData)
    return entry != 0 && entry >> 63 == 0 && entry & ((1 << 58) &- 1) < 1 << 44
  }

  @inline(__always) private func isLink(_ address: UInt64) -> Bool {
    let distance = address &- UInt64(layout.lru) &- rules.mapBase  // wraps below the map: then it is no distance in it
    if distance < rules.mapSize { return isMultiple(distance) }
    return address & 7 == 0 && (rules.space.isDirect(address) || rules.space.isImage(address))
  }

  /// Of a struct page's size, which is nearly always a power of two.
  @inline(__always) private func isMultiple(_ distance: UInt64) -> Bool {
    let size = UInt64(layout.size)
    return size & (size &- 1) == 0 ? distance & (size &- 1) == 0 : distance % size == 0
  }

  /// The account of the zone that `flags` names, if the page lies in it; else `unknownTag`, or `silentNode`.
  @inline(__always) private mutating func account(_ flags: UInt64, _ frame: UInt64) -> Int {
    let tag = rules.zones.field?.tag(flags) ?? 0
    if tag == knownTag && knownFrames.contains(frame) && sectionIsRight(flags, frame) { return knownAccount }
    return otherAccount(tag, flags, frame)
  }

  @inline(__always) private func sectionIsRight(_ flags: UInt64, _ frame: UInt64) -> Bool {
    guard let field = rules.zones.field, field.sectionBits > 0 else { return true }
    return field.section(flags) == frame >> rules.geometry.shift
  }

  @inline(never) private mutating func otherAccount(_ tag: Int, _ flags: UInt64, _ frame: UInt64) -> Int {
    let account = rules.zones.accounts[tag]
    if !sectionIsRight(flags, frame) { return ZoneRules.unknownTag }
    if account < 0 { return account }
    guard rules.zones.frames[account].contains(frame) else { return ZoneRules.unknownTag }
    knownTag = tag
    knownAccount = account
    knownFrames = rules.zones.frames[account]
    return account
  }

  @inline(never)
  private mutating func headOrPoison(_ view: MapView, _ index: Int, _ frame: UInt64, _ flags: UInt64, _ word: UInt64) -> RunCode {
    // What was never initialised may be all ones (PAGE_POISON_PATTERN, include/linux/poison.h).
    if flags == .max { return .kernel }
    if flags & layout.bits.head == 0 { return poisoned(flags, frame) }
    if isFakeHead(frame, flags) { return head.code }
    let address = section.map &+ (frame &- firstFrame) &* UInt64(layout.size)
    guard let found = readHead(view, index, frame, address, flags, word) else {
      // Its tails will not find a head, and are kept too.
      return rules.strict ? fail(.compoundOrder) : evidence(view, index, frame, flags, word)
    }
    head = found
    return found.code
  }

  /// One flag is little evidence; but what it says is that reading the page can stop the machine. Every such page is
  /// named in the findings.
  private mutating func poisoned(_ flags: UInt64, _ frame: UInt64) -> RunCode {
    if rules.strict {
      tally.candidates &+= 1
      if account(flags, frame) == ZoneRules.unknownTag { return fail(.pageZone) }
    }
    return RunCode(.hwpoison)
  }

  /// With "hugetlb_free_vmemmap" (5.14 to 7.0) the map of a huge page's tails is its first page of map again and again:
  /// at each such page's start there is a copy of the head.
  private func isFakeHead(_ frame: UInt64, _ flags: UInt64) -> Bool {
    guard head.isHuge, frame > head.frame, frame < head.end, flags == head.flags, let each = rules.entriesPerPage else {
      return false
    }
    return (frame &- head.frame) % each == 0
  }

  /// The compound page that begins at `index`; nil when its order can't be. `address` is that of its struct page.
  private mutating func readHead(
    _ view: MapView, _ index: Int, _ frame: UInt64, _ address: UInt64, _ flags: UInt64, _ word: UInt64
  ) -> Head? {
    tally.heads &+= 1
    // Compound pages are aligned to their size, and so is every piece of the map: the first tail is in it.
    guard frame & 1 == 0, index &+ 1 < view.pages else { return nil }
    let order: UInt64
    var isHuge = layout.types.hugetlb.matches(view.u32(index, layout.type))
    switch layout.compoundForm {
    case .bytes(let orderAt, let destructorAt, let hugetlb):
      order = UInt64(view.u8(index &+ 1, orderAt))
      if let hugetlb { isHuge = view.u8(index &+ 1, destructorAt) == hugetlb }
    case .flags(let hugetlb):
      let second = view.u64(index &+ 1, layout.flags)
      order = second & 0xff
      if let hugetlb { isHuge = second & hugetlb != 0 }
    }
    guard order > 0, order < rules.compoundOrders, frame & ((1 << order) &- 1) == 0 else { return nil }
    var found = Head()
    found.tail = address | 1
    found.mask = rules.tailsMayBeMasks ? ~((UInt64(layout.size) << order) &- 1) | 1 : found.tail
    guard found.owns(view.u64(index &+ 1, layout.compound)) else { return nil }
    found.frame = frame
    found.end = frame &+ 1 << order
    found.flags = flags
    found.isHuge = isHuge
    found.code = headCode(view, index, frame, flags, word, order, isHuge)
    return found
  }

  private mutating func headCode(
    _ view: MapView, _ index: Int, _ frame: UInt64, _ flags: UInt64, _ word: UInt64, _ order: UInt64, _ isHuge: Bool
  ) -> RunCode {
    // A huge page that is partly poisoned says so only in its head.
    if flags & layout.bits.poison != 0 { return poisoned(flags, frame) }
    if isHuge {
      if rules.strict {
        tally.candidates &+= 1
        // Huge pages are always on a list: of free ones, of those in use, or of one under way.
        guard rules.hugeOrders >> order & 1 != 0 else { return fail(.compoundOrder) }
        guard isLink(word), isLink(view.u64(index, layout.lru &+ 8)) else { return fail(.lruLinks) }
        guard account(flags, frame) != ZoneRules.unknownTag else { return fail(.pageZone) }
      }
      return RunCode(.user)
    }
    let type = view.u32(index, layout.type)
    return Int32(bitPattern: type) < -1
      ? simpleType(type, flags, view.u64(index, layout.mapping), frame) : evidence(view, index, frame, flags, word)
  }

  // MARK: Tails

  /// Takes the tails from `index` on; the index of the first page that is none of them.
  private mutating func tails(
    _ view: MapView, _ index: Int, _ count: Int, _ offset: Int, _ word: UInt64, _ flags: UInt64
  ) -> Int {
    let base = firstFrame &+ UInt64(offset)
    let frame = base &+ UInt64(index)
    if flags == .max {
      emit(.kernel, upTo: offset &+ index &+ 1)
      return index &+ 1
    }
    guard frame < head.end, frame > head.frame, head.owns(word) else {
      tally.tails &+= 1
      emit(fail(.tails), upTo: offset &+ index &+ 1)
      return index &+ 1
    }
    let limit = Int(truncatingIfNeeded: min(UInt64(count), head.end &- base))
    let poison = layout.bits.poison
    var end = index
    while end < limit, head.owns(view.u64(end, layout.compound)) {
      if view.u64(end, layout.flags) & poison != 0 {
        if end > index { emit(head.code, upTo: offset &+ end) }
        tally.tails &+= UInt64(end &- index &+ 1)
        let code = poisoned(view.u64(end, layout.flags), base &+ UInt64(end))
        emit(code, upTo: offset &+ end &+ 1)
        return end &+ 1
      }
      end &+= 1
    }
    tally.tails &+= UInt64(end &- index)
    emit(head.code, upTo: offset &+ end)
    return end
  }

  /// Takes over a compound page that begins in an earlier section: `view` holds its head and first tail, and `address` is
  /// that of its struct page. Call before the first piece.
  mutating func adopt(_ view: MapView, frame: UInt64, address: UInt64) {
    let flags = view.u64(0, layout.flags)
    let word = view.u64(0, layout.compound)
    guard flags & layout.bits.head != 0, word & 1 == 0, flags != .max,
      let found = readHead(view, 0, frame, address, flags, word)
    else { return }
    head = found
  }

  // MARK: Typed pages

  @inline(__always)
  private mutating func typed(
    _ view: MapView, _ index: Int, _ count: Int, _ offset: Int, _ type: UInt32, _ flags: UInt64, _ word: UInt64
  ) -> Int {
    if layout.types.buddy.matches(type) { return freeBlock(view, index, count, offset, flags, word) }
    let frame = firstFrame &+ UInt64(offset) &+ UInt64(index)
    if layout.types.unaccepted.matches(type) {
      return unacceptedBlock(index, count, offset, flags, frame)
    }
    var code = flags == .max ? .kernel : simpleType(type, flags, view.u64(index, layout.mapping), frame)
    if code == RunCode(.offline), rules.strict {
      tally.offline &+= 1
      let follows = runEnd == offset &+ index && (runCode == code || runCode == RunCode(kept: .offlinePages))
      let leads = index &+ 1 < count && layout.types.offline.matches(view.u32(index &+ 1, layout.type))
      if !follows && !leads { code = fail(.offlinePages) }
    }
    emit(code, upTo: offset &+ index &+ 1)
    return index &+ 1
  }

  /// Slab, page table, large_kmalloc and all types to come are the kernel's; offline pages may not be read.
  @inline(__always)
  private mutating func simpleType(_ type: UInt32, _ flags: UInt64, _ mapping: UInt64, _ frame: UInt64) -> RunCode {
    guard layout.types.offline.matches(type) else { return .kernel }
    if rules.strict {
      tally.candidates &+= 1
      // In no list of the page cache, in no compound page; a balloon's pages were movable ones (bit 1 of mapping) until 6.16.
      let strange = layout.bits.lru | layout.bits.slab | layout.bits.head
      guard flags & strange == 0, mapping == 0 || mapping & 3 == 2 else { return fail(.pageState) }
      if account(flags, frame) == ZoneRules.unknownTag { return fail(.pageZone) }
    }
    return RunCode(.offline)
  }

  @inline(never)
  private mutating func freeBlock(
    _ view: MapView, _ index: Int, _ count: Int, _ offset: Int, _ flags: UInt64, _ word: UInt64
  ) -> Int {
    let frame = firstFrame &+ UInt64(offset) &+ UInt64(index)
    let order = view.u64(index, layout.privateData)
    tally.blocks &+= 1
    guard order < rules.freeOrders, frame & ((1 << order) &- 1) == 0, index &+ 1 << Int(order) <= count else {
      emit(fail(.buddyOrder), upTo: offset &+ index &+ 1)
      return index &+ 1
    }
    let end = index &+ 1 << Int(order)
    guard rules.strict else {
      emit(RunCode(.free), upTo: offset &+ end)
      return end
    }
    let account = account(flags, frame)
    guard account != ZoneRules.unknownTag else {
      emit(fail(.pageZone), upTo: offset &+ index &+ 1)
      return index &+ 1
    }
    guard account >= 0 else {
      // Free by the page map, and there are no lists to ask.
      emit(fail(.freeLists), upTo: offset &+ end)
      return end
    }
    ledger.add(
      account, Int(order), own: section.map &+ (frame &- firstFrame) &* UInt64(layout.size) &+ UInt64(layout.lru),
      next: word, previous: view.u64(index, layout.lru &+ 8))
    tally.freePages[account] &+= 1 << order
    if let verdicts = rules.verdicts, let kept = kept(verdicts, account, Int(order), frame) {
      emit(fail(kept), upTo: offset &+ end)
      return end
    }
    emitFree(view, index, end, offset)
    return end
  }

  /// Because of which check a marked block is kept, if it is.
  private func kept(_ verdicts: FreeVerdicts, _ account: Int, _ order: Int, _ frame: UInt64) -> Check? {
    switch verdicts[account, order] {
    case .confirmed: nil
    case .listedOnly: verdicts.listed.contains(frame) ? nil : .freeLists
    case .refused(let check): check
    }
  }

  /// A free block, if nothing in it is in use: no references, not on the LRU, no compound page, no slab.
  private mutating func emitFree(_ view: MapView, _ index: Int, _ end: Int, _ offset: Int) {
    let inUse = layout.bits.lru | layout.bits.head | layout.bits.slab
    let poison = layout.bits.poison
    var flags: UInt64 = 0
    var references: UInt32 = 0
    var words: UInt64 = 0
    for page in index..<end {
      flags |= view.u64(page, layout.flags)
      references |= view.u32(page, layout.references)
      words |= view.u64(page, layout.compound)
    }
    if flags & inUse != 0 || references != 0 || words & 1 != 0 {
      emit(fail(.freeBlock), upTo: offset &+ end)
    } else if flags & poison == 0 {
      emit(RunCode(.free), upTo: offset &+ end)
    } else {
      for page in index..<end {
        emit(RunCode(view.u64(page, layout.flags) & poison != 0 ? .hwpoison : .free), upTo: offset &+ page &+ 1)
      }
    }
  }

  /// Memory that a confidential guest has not accepted yet, in blocks of the largest order (mm/page_alloc.c,
  /// __free_unaccepted). VMCOREINFO does not lead to its list; it is counted in NR_FREE_PAGES, which is the second witness.
  private mutating func unacceptedBlock(_ index: Int, _ count: Int, _ offset: Int, _ flags: UInt64, _ frame: UInt64) -> Int {
    let pages: UInt64 = 1 << (rules.freeOrders &- 1)
    tally.blocks &+= 1
    guard frame & (pages &- 1) == 0, index &+ Int(pages) <= count else {
      emit(fail(.buddyOrder), upTo: offset &+ index &+ 1)
      return index &+ 1
    }
    let end = index &+ Int(pages)
    let account = rules.strict ? account(flags, frame) : 0
    if rules.strict, account >= 0 { tally.unacceptedPages[account] &+= pages }
    if account < 0 {
      emit(fail(account == ZoneRules.unknownTag ? .pageZone : .freeLists), upTo: offset &+ end)
    } else if rules.strict, rules.verdicts?.unaccepted[account] == false {
      emit(fail(.zoneCounter), upTo: offset &+ end)
    } else {
      emit(RunCode(.free), upTo: offset &+ end)
    }
    return end
  }
}

extension MapScan.Head {
  @inline(__always) func owns(_ word: UInt64) -> Bool { word == tail || word == mask }
}

/// What a scan counts, over the sections of one thread.
struct ScanTally: Sendable {
  /// Pages that claimed to be something that can be left out.
  var candidates: UInt64 = 0
  /// Of those, pages that said that they are on the LRU.
  var listed: UInt64 = 0
  var offline: UInt64 = 0
  var heads: UInt64 = 0
  var tails: UInt64 = 0
  var blocks: UInt64 = 0
  /// By check.
  var failed = [UInt64](repeating: 0, count: Check.allCases.count)
  /// By account.
  var freePages: [UInt64]
  var unacceptedPages: [UInt64]

  init(accounts: Int) {
    freePages = Array(repeating: 0, count: accounts)
    unacceptedPages = Array(repeating: 0, count: accounts)
  }

  mutating func merge(_ other: ScanTally) {
    candidates += other.candidates
    listed += other.listed
    offline += other.offline
    heads += other.heads
    tails += other.tails
    blocks += other.blocks
    for index in failed.indices { failed[index] += other.failed[index] }
    for index in freePages.indices {
      freePages[index] += other.freePages[index]
      unacceptedPages[index] += other.unacceptedPages[index]
    }
  }
}
