internal import DumpBasics

/// Where `page.flags` says which node and zone a page belongs to, and, without vmemmap, which section.
///
/// include/linux/page-flags-layout.h: from the top bit down SECTION (only without vmemmap), NODE, ZONE. Their
/// widths are MAX_PHYSMEM_BITS - SECTION_SIZE_BITS, log2 of MAX_NUMNODES, and 1 to 3 bits for MAX_NR_ZONES.
/// Where all that does not fit beside the flags, NODE is left out (only without vmemmap).
/// `MemoryNodes.zoneField` tries out which it is.
struct ZoneField: Sendable, Equatable {
  var sectionBits: UInt64
  /// Bits of node and zone together.
  var bits: UInt64
  var zoneBits: UInt64

  init?(_ layout: ZoneLayout, sectionBits: UInt64, hasNode: Bool) {
    guard let zones = layout.maxZones, layout.maxNodes.nonzeroBitCount == 1 else { return nil }
    // ZONES_SHIFT: 0 for one zone, then the next power of two.
    zoneBits = zones <= 1 ? 0 : UInt64(Int.bitWidth - (zones - 1).leadingZeroBitCount)
    bits = zoneBits + (hasNode ? UInt64(layout.maxNodes.trailingZeroBitCount) : 0)
    self.sectionBits = sectionBits
    guard bits > 0, bits <= 16, sectionBits + bits <= 48 else { return nil }
  }

  /// Node and zone as one number below 2 to `bits`: node × 2^zoneBits + zone.
  @inline(__always) func tag(_ flags: UInt64) -> Int {
    Int(truncatingIfNeeded: (flags &<< sectionBits) &>> (64 &- bits))
  }

  /// The bits of the flags that make the tag, and what they are for one.
  var mask: UInt64 { flags((1 << Int(bits)) &- 1) }
  func flags(_ tag: Int) -> UInt64 { (UInt64(truncatingIfNeeded: tag) << (64 - bits)) >> sectionBits }

  /// The section number; 0 with vmemmap.
  @inline(__always) func section(_ flags: UInt64) -> UInt64 { sectionBits == 0 ? 0 : flags &>> (64 &- sectionBits) }

  private var hasNode: Bool { bits > zoneBits }
  func tag(node: Int, zone: Int) -> Int { hasNode ? node << Int(zoneBits) | zone : zone }
  /// Whether pages with `tag` can be of `node`.
  func tag(_ tag: Int, isOf node: Int) -> Bool { !hasNode || tag >> Int(zoneBits) == node }
}
