internal import DumpBasics

// Pages with a type: free blocks, offline and unaccepted memory; what else there is belongs to the kernel.
extension MapScan {
  @inline(__always)
  mutating func typed(
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
  mutating func simpleType(_ type: UInt32, _ flags: UInt64, _ mapping: UInt64, _ frame: UInt64) -> RunCode {
    guard layout.types.offline.matches(type) else { return layout.types.slab.matches(type) ? .slab : .kernel }
    if rules.strict {
      tally.candidates &+= 1
      // In no list of the page cache, in no compound page; a balloon's pages were movable ones (bit 1 of
      // mapping) until 6.16.
      let strange = layout.bits.lru | layout.bits.slab | layout.bits.head
      guard flags & strange == 0, mapping == 0 || mapping & 3 == 2 else { return fail(.pageState) }
      if account(flags, frame) == ZoneRules.unknownTag { return fail(.pageZone) }
    }
    return RunCode(.offline)
  }

  @inline(never)
  mutating func freeBlock(
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
    let own = section.map &+ (frame &- firstFrame) &* UInt64(layout.size) &+ UInt64(layout.lru)
    // Linked to itself it is on no list, and would be a ring of its own: 0 makes the sums differ.
    ledger.add(account, Int(order), own: own, next: word == own ? 0 : word, previous: view.u64(index, layout.lru &+ 8))
    tally.freePages[account] &+= 1 << order
    if let verdicts = rules.verdicts, let kept = kept(verdicts, account, Int(order), frame) {
      emit(fail(kept), upTo: offset &+ end)
      return end
    }
    emitFree(view, index, end, offset)
    return end
  }

  /// Because of which check a marked block is kept, if it is.
  func kept(_ verdicts: FreeVerdicts, _ account: Int, _ order: Int, _ frame: UInt64) -> Check? {
    switch verdicts[account, order] {
    case .confirmed: nil
    case .listedOnly: verdicts.listed.contains(frame) ? nil : .freeLists
    case .refused(let check): check
    }
  }

  /// A free block, if nothing in it is in use: no references, not on the LRU, no compound page, no slab.
  mutating func emitFree(_ view: MapView, _ index: Int, _ end: Int, _ offset: Int) {
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
  /// __free_unaccepted). VMCOREINFO does not lead to its list; it is counted in NR_FREE_PAGES, which is the
  /// second witness.
  mutating func unacceptedBlock(_ index: Int, _ count: Int, _ offset: Int, _ flags: UInt64, _ frame: UInt64) -> Int {
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
