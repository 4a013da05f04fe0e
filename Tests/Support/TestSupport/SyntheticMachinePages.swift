/// The class of a page, by the names that `--exclude` and `dump.json` have for them.
public enum SyntheticClass: String, Sendable, CaseIterable, Hashable {
  case free
  case cache
  case cachePrivate = "cache-private"
  case user
  case offline
  case hwpoison
  case kernel
}

/// What a page is, finer than its class: each kind has its own look as a struct page.
public enum PageKind: UInt8, Sendable, CaseIterable, Hashable {
  /// In the free lists, marked buddy.
  case buddy
  /// Free, in a per-CPU list: no mark, reference count 0. Nothing proves it free, so its class is kernel.
  case perCPUFree
  /// On `zone.unaccepted_pages` (6.16): free, counted in NR_FREE_PAGES, in no free list.
  case unaccepted
  case fileCache
  /// With PG_private: buffer heads or a file system's own data.
  case filePrivate
  /// tmpfs and shared memory: PG_swapbacked, with a file's mapping.
  case tmpfs
  /// Read ahead from swap, mapped by nobody yet: PG_swapcache, no mapping, not on the LRU.
  case swapReadahead
  /// File cache in a CPU's LRU batch: PG_lru is not set yet, nothing else tells it from a kernel page.
  case fileOffLRU
  case anonymous
  /// The same, in a CPU's LRU batch.
  case anonymousOffLRU
  /// Anonymous, with a slot in swap.
  case swapCached
  case transparentHuge
  /// Mapping with both low bits: a stable node of KSM.
  case ksm
  case hugetlb
  /// Mapping with the second bit only: movable, not on the LRU (balloon, zsmalloc before 6.11).
  case movableKernel
  case slab
  case pageTable
  case largeKmalloc
  case zsmalloc
  /// A compound page without a type.
  case kernelCompound
  /// Allocated, nothing special: stacks, vmalloc, per-CPU areas.
  case kernel
  /// PG_reserved: firmware, kernel image, page map, mem_section, boot memory.
  case reserved
  case offline
  /// PG_hwpoison and nothing else.
  case poisoned
  /// No memory, and its struct page was never set up: all ones or all zeros, by the configuration.
  case hole
  /// No memory, but the kernel set its struct page up as reserved (init_unavailable_range, mm/mm_init.c).
  case reservedHole

  public var pageClass: SyntheticClass {
    switch self {
    case .buddy, .unaccepted: .free
    case .fileCache, .tmpfs, .swapReadahead: .cache
    case .filePrivate: .cachePrivate
    case .anonymous, .anonymousOffLRU, .swapCached, .transparentHuge, .ksm, .hugetlb: .user
    case .offline: .offline
    case .poisoned: .hwpoison
    case .perCPUFree, .fileOffLRU, .movableKernel, .slab, .pageTable, .largeKmalloc, .zsmalloc, .kernelCompound, .kernel,
      .reserved, .hole, .reservedHole:
      .kernel
    }
  }

  /// Whether it has PG_lru and is linked.
  var isOnLRU: Bool {
    [.fileCache, .filePrivate, .tmpfs, .anonymous, .swapCached, .transparentHuge, .ksm].contains(self)
  }

  /// Whether there is no memory behind the struct page.
  public var isHole: Bool { self == .hole || self == .reservedHole }

  /// Whether an order above 0 means a compound page (head and tails), not just 2^order pages that belong
  /// together.
  var isCompound: Bool { self != .buddy && self != .unaccepted }
}

/// One page: what it is, and its place in the unit (block, compound page) that it belongs to.
public struct SyntheticPage: Sendable, Equatable {
  public var kind: PageKind
  /// The unit has 2^order pages and is aligned to them.
  public var order: UInt8
  /// Of the free list; meaningful for `.buddy`.
  public var migrateType: UInt8
  /// PG_hwpoison is set, on whatever kind of page: class and fate are the kind's (a tail shares its head's).
  public var isPoisoned: Bool
  /// Pages from the head to this page.
  public var index: UInt32

  public init(_ kind: PageKind, order: UInt8 = 0, migrateType: UInt8 = 0, index: UInt32 = 0, isPoisoned: Bool = false) {
    self.kind = kind
    self.order = order
    self.migrateType = migrateType
    self.index = index
    self.isPoisoned = isPoisoned
  }

  public var pageClass: SyntheticClass { kind.pageClass }
  var isTail: Bool { index > 0 && kind.isCompound }
}
