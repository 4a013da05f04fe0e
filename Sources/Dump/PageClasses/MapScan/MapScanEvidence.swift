internal import DumpBasics

// What a page that is neither typed nor a tail says of itself, and whether that is evidence.
extension MapScan {
  /// The class of a page that is neither typed nor a tail, by flags and mapping.
  mutating func evidence(_ view: MapView, _ index: Int, _ frame: UInt64, _ flags: UInt64, _ word: UInt64) -> RunCode {
    let bits = layout.bits
    // Slab's own fields lie over `mapping` since 6.2. From 6.10 on slab is a type, and the mask is 0.
    if flags & bits.slab != 0 { return .slab }
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
        // Pages in the swap cache have none before a process maps them, or as tmpfs'; but they have a place
        // in swap. A page that was truncated while somebody held it has none either, and is kept: LRU or not,
        // nothing says whose it is.
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
        // Off the LRU it is on its way there or back, and never one that MADV_FREE gave up (those lose
        // PG_swapbacked on the LRU).
        guard flags & bits.swapBacked != 0 else { return fail(.pageState) }
      }
      guard account(flags, frame) != ZoneRules.unknownTag else { return fail(.pageZone) }
    }
    if isAnonymous { return RunCode(.user) }
    return RunCode(flags & bits.privateData != 0 ? .cachePrivate : .cache)
  }

  /// swp_entry_t (include/linux/swapops.h): bit 63 is clear, 5 bits of type (the swap device), an offset in
  /// pages. It is in `private` (`folio.swap` since 6.6, which lies there too).
  func hasSwapEntry(_ view: MapView, _ index: Int) -> Bool {
    let entry = view.u64(index, layout.privateData)
    return entry != 0 && entry >> 63 == 0 && entry & ((1 << 58) &- 1) < 1 << 44
  }
}
