internal import DumpBasics

/// A generation of the kernel's memory layout, and what differs in it: the one table of the synthetic
/// machine.
///
/// Values of 5.10, 6.1, 6.12 and 7.2 are those of Debian's kernels (VMCOREINFO of real dumps); the others are
/// from include/linux/page-flags.h, include/linux/mm_types.h and kernel/crash_core.c (vmcore_info.c since
/// 6.9) of that version, with the sizes of structures of the nearest real kernel.
public enum KernelGeneration: String, Sendable, CaseIterable, CustomStringConvertible {
  case v5_10 = "5.10"
  case v6_1 = "6.1"
  /// Order and destructor in the first tail, named as members of struct folio; a slab's list overlays
  /// `mapping` (6.2).
  case v6_3 = "6.3"
  /// Order in the low byte of the first tail's flags, PG_hugetlb there too; flags rearranged.
  case v6_6 = "6.6"
  /// Hugetlb is a page type.
  case v6_9 = "6.9"
  /// Slab is a page type, PG_slab is gone.
  case v6_10 = "6.10"
  /// The type bits moved.
  case v6_11 = "6.11"
  /// One type for a page, in the top byte.
  case v6_12 = "6.12"
  /// UNACCEPTED key.
  case v6_16 = "6.16"
  /// `compound_head` became `compound_info`, and holds a mask.
  case v7_1 = "7.1"
  /// Six free lists for each order; 7.3 is the same.
  case v7_2 = "7.2"

  public var description: String { rawValue }
  func osRelease(_ architecture: Architecture) -> String {
    rawValue + ".0-synthetic-" + (architecture == .arm64 ? "arm64" : "amd64")
  }

  /// Whether this generation is `other` or newer.
  func isSince(_ other: KernelGeneration) -> Bool {
    let all = KernelGeneration.allCases
    return (all.firstIndex(of: self) ?? 0) >= (all.firstIndex(of: other) ?? 0)
  }
}

/// Bit numbers of `page.flags` (enum pageflags, include/linux/page-flags.h).
struct PageFlags: Sendable {
  var referenced: UInt64
  var uptodate: UInt64
  var dirty: UInt64
  var lru: UInt64
  var head: UInt64
  var active: UInt64
  /// Nil since 6.10: slab is a page type.
  var slab: UInt64?
  /// PG_owner_priv_1 under another name.
  var swapcache: UInt64
  var reserved: UInt64
  var privateData: UInt64
  var swapbacked: UInt64
  var hwpoison: UInt64
}

/// Values of the word at `page._mapcount` that make a page typed (enum pagetype).
struct PageTypes: Sendable {
  var buddy: UInt32
  var offline: UInt32
  var table: UInt32
  var hugetlb: UInt32?
  var slab: UInt32?
  var zsmalloc: UInt32?
  var unaccepted: UInt32?
  var largeKmalloc: UInt32?
}

/// Where the first tail of a compound page says its order.
enum CompoundOrder: Sendable {
  /// `compound_dtor`, `compound_order`: bytes 16 and 17 (5.10 to 6.5).
  case bytes
  /// The low byte of `flags` (since 6.6); with the bit that is PG_hugetlb there (6.6 to 6.8).
  case flags(hugetlb: UInt64?)
}

/// Sizes and offsets of pglist_data and zone that VMCOREINFO tells.
struct ZoneLayout: Sendable {
  var pglistData: Int
  var nrZones: Int
  var zone: Int
  var freeArea: Int
  var vmStat: Int
  var spannedPages: Int
  /// LENGTH(free_area.free_list): MIGRATE_TYPES.
  var freeLists: Int

  // struct pglist_data: nr_zones, node_start_pfn, node_present_pages, node_spanned_pages, node_id.
  var nodeStart: Int { nrZones + 8 }
  var nodePresent: Int { nrZones + 16 }
  var nodeSpanned: Int { nrZones + 24 }
  var nodeID: Int { nrZones + 32 }
  // struct zone: zone_start_pfn, managed_pages, spanned_pages, present_pages.
  var zoneStart: Int { spannedPages - 16 }
  var managedPages: Int { spannedPages - 8 }
  var presentPages: Int { spannedPages + 8 }
  /// SIZE(free_area): the list heads, then `nr_free`.
  var freeAreaSize: Int { freeLists * 16 + 8 }
  var nrFree: Int { freeLists * 16 }

  func listHead(zone index: Int, order: Int, migrateType: Int) -> Int {
    index * zone + freeArea + order * freeAreaSize + migrateType * 16
  }
}

extension KernelGeneration {
  var flags: PageFlags {
    if isSince(.v6_12) {
      return PageFlags(
        referenced: 2, uptodate: 3, dirty: 4, lru: 5, head: 6, active: 8, slab: nil, swapcache: 10, reserved: 13,
        privateData: 14, swapbacked: 17, hwpoison: isSince(.v6_16) ? 21 : 20)
    }
    if isSince(.v6_10) {
      return PageFlags(
        referenced: 2, uptodate: 3, dirty: 4, lru: 5, head: 6, active: 8, slab: nil, swapcache: 11, reserved: 13,
        privateData: 14, swapbacked: 18, hwpoison: 22)
    }
    if isSince(.v6_6) {
      return PageFlags(
        referenced: 2, uptodate: 3, dirty: 4, lru: 5, head: 6, active: 8, slab: 11, swapcache: 12, reserved: 14,
        privateData: 15, swapbacked: 19, hwpoison: 23)
    }
    return PageFlags(
      referenced: 1, uptodate: 2, dirty: 3, lru: 4, head: 16, active: 5, slab: 9, swapcache: 10, reserved: 12,
      privateData: 13, swapbacked: 19, hwpoison: 23)
  }

  var types: PageTypes {
    if isSince(.v6_12) {
      return PageTypes(
        buddy: 0xf0 << 24, offline: 0xf1 << 24, table: 0xf2 << 24, hugetlb: 0xf4 << 24, slab: 0xf5 << 24,
        zsmalloc: 0xf6 << 24, unaccepted: 0xf7 << 24, largeKmalloc: 0xf8 << 24)
    }
    if isSince(.v6_11) {
      return PageTypes(
        buddy: ~0x4000_0000, offline: ~0x2000_0000, table: ~0x1000_0000, hugetlb: ~0x0400_0000, slab: ~0x0200_0000,
        zsmalloc: ~0x0100_0000)
    }
    return PageTypes(
      buddy: ~0x80, offline: ~0x100, table: ~0x200, hugetlb: isSince(.v6_9) ? ~0x800 : nil,
      slab: isSince(.v6_10) ? ~0x1000 : nil)
  }

  var compoundOrder: CompoundOrder {
    if isSince(.v6_9) { return .flags(hugetlb: nil) }
    // PG_hugetlb = PG_active (6.6).
    return isSince(.v6_6) ? .flags(hugetlb: 8) : .bytes
  }

  /// Tails hold a mask that leads from their address to the head's, where HVO is configured (6.x kernels: a
  /// pointer).
  var tailsHoldMask: Bool { isSince(.v7_1) }
  /// Slab's members moved (5.17: struct slab; 6.2: `slab_cache` first, then the list, which so overlays
  /// `mapping`).
  var slabListOverlaysMapping: Bool { isSince(.v6_3) }
  /// File systems put folios of several pages into the page cache (5.18), anonymous memory too (mTHP, 6.8).
  var hasLargeCacheFolios: Bool { isSince(.v6_1) }
  var hasLargeAnonFolios: Bool { isSince(.v6_9) }
  var hasUnaccepted: Bool { isSince(.v6_16) }

  /// MAX_NUMNODES of Debian's kernels: 1024 on x86_64, 16 on arm64. `node_zonelists`, which has two entries of
  /// 16 bytes for each node and zone (MAX_NR_ZONES is 5), lies between the zones and `nr_zones`.
  func zoneLayout(_ architecture: Architecture) -> ZoneLayout {
    var layout = zoneLayout
    if architecture == .arm64 {
      let less = 5 * 2 * 16 * (1024 - 16)
      layout.nrZones -= less
      layout.pglistData -= less
    }
    return layout
  }

  private var zoneLayout: ZoneLayout {
    if isSince(.v7_2) {
      return ZoneLayout(
        pglistData: 176_320, nrZones: 173_152, zone: 1856, freeArea: 256, vmStat: 1536, spannedPages: 160, freeLists: 6)
    }
    if isSince(.v7_1) {
      return ZoneLayout(
        pglistData: 175_808, nrZones: 172_192, zone: 1664, freeArea: 256, vmStat: 1344, spannedPages: 160, freeLists: 5)
    }
    if isSince(.v6_9) {
      return ZoneLayout(
        pglistData: 174_464, nrZones: 171_552, zone: 1536, freeArea: 256, vmStat: 1344, spannedPages: 160, freeLists: 5)
    }
    if isSince(.v6_1) {
      return ZoneLayout(
        pglistData: 174_208, nrZones: 171_552, zone: 1536, freeArea: 256, vmStat: 1344, spannedPages: 144, freeLists: 5)
    }
    return ZoneLayout(
      pglistData: 171_968, nrZones: 171_232, zone: 1472, freeArea: 192, vmStat: 1280, spannedPages: 120, freeLists: 5)
  }
}
