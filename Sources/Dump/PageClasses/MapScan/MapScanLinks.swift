internal import DumpBasics

// Whether the pages on the LRU are linked as they should be.
extension MapScan {
  /// Whether `next` and `prev` of a page on the LRU lead to other pages or to list heads; not to itself, as
  /// those of pages that were never on a list do (__init_single_page, mm/mm_init.c). Since 5.18 mlocked pages
  /// have PG_lru and are on no list: then `next` is what list_del() left there (LIST_POISON1,
  /// include/linux/poison.h: 0x100 above CONFIG_ILLEGAL_POINTER_VALUE) or a link of before, and the low half
  /// of `prev` is a count (`mlock_count`). Pages of files that are never evicted (ramfs, memfd_secret) are
  /// like those from the start: their `next` is the 0 that the allocator leaves (clear_page_pfmemalloc,
  /// include/linux/mm.h).
  ///
  /// What the neighbours say is added up (`LinkLedger`), and read where the sums say that something is wrong:
  /// a page that neither neighbour knows is on no list, and its struct page may be another's.
  @inline(__always) mutating func linksAreRight(_ next: UInt64, _ previous: UInt64, of frame: UInt64) -> Bool {
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

  @inline(__always) mutating func subtract(_ hash: UInt64, _ origin: Int) {
    if origin != nearBucket { move(to: origin) }
    nearLinks &-= hash
  }

  /// From now on `nearLinks` is the sum of this bucket.
  @inline(never) mutating func move(to bucket: Int) {
    links.add(nearLinks, nearBucket)
    nearLinks = 0
    nearBucket = bucket
  }

  func isBroken(_ bucket: Int) -> Bool { rules.brokenLinks?[bucket] ?? false }

  /// For a page at the end of its list, one alone on it, one that is mlocked; and for all where maps are no
  /// common array.
  @inline(never)
  mutating func otherLinksAreRight(
    _ own: UInt64, _ next: UInt64, _ previous: UInt64, _ after: UInt64, _ before: UInt64
  ) -> Bool {
    guard isLink(next) && isLink(previous) else {
      if next == 0xdead_0000_0000_0100 { return true }
      return previous >> 32 == 0xdead_0000 && (next == 0 || isLink(next) && next != own)
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
  @inline(__always) func bucket(of distance: UInt64) -> Int {
    if let mapShift { return LinkLedger.bucket(distance &>> mapShift) }
    return LinkLedger.bucket(distance / (rules.geometry.pages &* UInt64(layout.size)))
  }

  @inline(__always) func isLink(_ address: UInt64) -> Bool {
    let distance = address &- UInt64(layout.lru) &- rules.mapBase  // wraps below the map: then it is no distance in it
    if distance < rules.mapSize { return isMultiple(distance) }
    return address & 7 == 0 && (rules.space.isDirect(address) || rules.space.isImage(address))
  }

  /// Of a struct page's size, which is nearly always a power of two.
  @inline(__always) func isMultiple(_ distance: UInt64) -> Bool {
    let size = UInt64(layout.size)
    return size & (size &- 1) == 0 ? distance & (size &- 1) == 0 : distance % size == 0
  }
}
