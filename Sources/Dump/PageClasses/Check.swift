internal import DumpBasics

/// The checks, by name. Each says what it compares, and what it costs when it fails.
public enum Check: Int, Sendable, CaseIterable {
  /// Do the keys of VMCOREINFO describe a page map at all? Failed: every page is kept.
  case layout
  /// Do `mem_section` root and section lead to memory that exists, and do the sections agree on where the map
  /// is? Failed: the section is kept.
  case sectionPointer
  /// Can the map be read, and is no part of it another section's map too? Failed: the pages it describes are
  /// kept.
  case sectionMap
  /// Do node and zone in `page.flags` name a zone that exists, and does the page lie in it? Failed: the page
  /// is kept.
  case pageZone
  /// Do flags, type word and reference count fit together? Failed: the page is kept.
  case pageState
  /// Is `page.mapping` the address of something, or an anon/ksm tag on one? Failed: the page is kept.
  case mapping
  /// Do the list links of a page that says it is on the LRU lead to pages or list heads, and does a neighbour
  /// lead back? Failed: the page is kept.
  case lruLinks
  /// Does an offline page have an offline neighbour? One bit makes an offline page of many a kernel's, and
  /// nothing else tells them apart; memory goes offline in blocks, and balloons take many pages. Failed: the
  /// page is kept. That is no damage, and no finding: balloons have single pages too.
  case offlinePages
  /// Is a compound page's order in range, and the page aligned to it? Failed: the page is taken alone, its
  /// tails are kept.
  case compoundOrder
  /// Do tail pages point back to their head? Failed: those that don't are kept.
  case tails
  /// Is a free block's order in range, and the block aligned to it? Failed: the block is kept.
  case buddyOrder
  /// Does a free block hold only pages that nobody uses? Failed: the block is kept.
  case freeBlock
  /// Are the blocks that the page map calls free those in the zone's free lists? Failed: what only one of
  /// them calls free is kept.
  case freeLists
  /// Does `free_area.nr_free` agree with the free blocks of its zone and order? Failed: those blocks are
  /// kept.
  case freeCount
  /// Does the zone's NR_FREE_PAGES agree with its free blocks? Failed: the zone's free pages are kept.
  case zoneCounter
  /// Do nodes and zones, as they describe themselves, fit into one another? Failed: a node is not used as a
  /// witness, and its free pages are kept; where a zone's pages lie is not checked.
  case zoneSpan
  /// Is there memory enough to hold the classes of very fragmented memory? Failed: short runs are kept.
  case runMemory
  /// Are the registers of every CPU there that was online? Keeps nothing.
  case processors

  /// The name in reports; scripts may depend on it.
  public var name: String {
    switch self {
    case .layout: "layout"
    case .sectionPointer: "section-pointer"
    case .sectionMap: "section-map"
    case .pageZone: "page-zone"
    case .pageState: "page-state"
    case .mapping: "mapping"
    case .lruLinks: "lru-links"
    case .offlinePages: "offline-pages"
    case .compoundOrder: "compound-order"
    case .tails: "tails"
    case .buddyOrder: "buddy-order"
    case .freeBlock: "free-block"
    case .freeLists: "free-lists"
    case .freeCount: "free-count"
    case .zoneCounter: "zone-counter"
    case .zoneSpan: "zone-span"
    case .runMemory: "run-memory"
    case .processors: "processors"
    }
  }

  /// What is wrong where the check fails: the beginning of a finding.
  var complaint: String {
    switch self {
    case .layout: "the kernel does not describe its page map"
    case .sectionPointer: "the way to the page map is damaged"
    case .sectionMap: "the page map can't be read"
    case .pageZone: "pages name a zone that is not theirs"
    case .pageState: "flags, type and reference count contradict one another"
    case .mapping: "page.mapping leads nowhere"
    case .lruLinks: "pages are marked as on the LRU, and their links lead nowhere"
    case .offlinePages: "offline pages stand alone"
    case .compoundOrder: "compound pages have an impossible order"
    case .tails: "tail pages do not point back to their head"
    case .buddyOrder: "free blocks have an impossible order"
    case .freeBlock: "free blocks hold pages in use"
    case .freeLists: "blocks are free by the page map and not by the free lists"
    case .freeCount: "nr_free does not agree with the free blocks"
    case .zoneCounter: "NR_FREE_PAGES does not agree with the free blocks"
    case .zoneSpan: "a node or zone contradicts itself"
    case .runMemory: "memory is too fragmented to hold every class"
    case .processors: "registers of CPUs are missing"
    }
  }
}

/// What one check found.
public struct CheckResult: Sendable, Equatable {
  public var check: Check
  /// How often it was made: sections, pages, blocks or zones, as the check has it.
  public var tried: UInt64 = 0
  public var failed: UInt64 = 0
  /// Pages of the dump that are `kernel` because it failed.
  public var keptPages: UInt64 = 0
  public var name: String { check.name }
  public init(_ check: Check) { self.check = check }
}

/// The results of all checks, in the order of `Check`.
struct CheckTable: Sendable {
  private(set) var results = Check.allCases.map { CheckResult($0) }

  subscript(_ check: Check) -> CheckResult {
    get { results[check.rawValue] }
    set { results[check.rawValue] = newValue }
  }

  mutating func passed(_ check: Check, _ times: UInt64 = 1) { results[check.rawValue].tried += times }

  mutating func failed(_ check: Check, kept: UInt64 = 0) {
    results[check.rawValue].tried += 1
    results[check.rawValue].failed += 1
    results[check.rawValue].keptPages += kept
  }
}
