internal import DumpBasics

// Compound pages: heads, and the tails that take their class.
extension MapScan {
  @inline(never)
  mutating func headOrPoison(_ view: MapView, _ index: Int, _ frame: UInt64, _ flags: UInt64, _ word: UInt64) -> RunCode {
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

  /// One flag is little evidence; but what it says is that reading the page can stop the machine. Every such
  /// page is named in the findings. In memory that was taken offline its zone has moved away from it: a
  /// broken page is often the reason why.
  mutating func poisoned(_ flags: UInt64, _ frame: UInt64) -> RunCode {
    if rules.strict {
      tally.candidates &+= 1
      let isPlaced = section.isOnline ? account(flags, frame) != ZoneRules.unknownTag : sectionIsRight(flags, frame)
      if !isPlaced { return fail(.pageZone) }
    }
    return RunCode(.hwpoison)
  }

  /// With "hugetlb_free_vmemmap" (5.14 to 7.0) the map of a huge page's tails is its first page of map again
  /// and again: at each such page's start there is a copy of the head.
  func isFakeHead(_ frame: UInt64, _ flags: UInt64) -> Bool {
    guard head.isHuge, frame > head.frame, frame < head.end, flags == head.flags, let each = rules.entriesPerPage else {
      return false
    }
    return (frame &- head.frame) % each == 0
  }

  /// The compound page that begins at `index`; nil when its order can't be. `address` is that of its struct
  /// page.
  mutating func readHead(
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

  mutating func headCode(
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

  /// Takes the tails from `index` on; the index of the first page that is none of them.
  mutating func tails(
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

  /// Takes over a compound page that begins in an earlier section: `view` holds its head and first tail, and
  /// `address` is that of its struct page. Call before the first piece.
  mutating func adopt(_ view: MapView, frame: UInt64, address: UInt64) {
    let flags = view.u64(0, layout.flags)
    let word = view.u64(0, layout.compound)
    guard flags & layout.bits.head != 0, word & 1 == 0, flags != .max,
      let found = readHead(view, 0, frame, address, flags, word)
    else { return }
    head = found
  }
}

extension MapScan.Head {
  @inline(__always) func owns(_ word: UInt64) -> Bool { word == tail || word == mask }
}
