internal import DumpBasics

/// Writes struct pages of 64 bytes: eight words, as include/linux/mm_types.h lays them out on 64-bit
/// machines.
///
///     0 flags            3 mapping           6 _mapcount or page_type (low half), _refcount (high half)
///     1 lru.next, or in  4 index             7 memcg_data
///       a tail: head     5 private
///     2 lru.prev
final class StructPageWriter: Sendable {
  typealias Words = UnsafeMutablePointer<UInt64>

  private static let listPoison1: UInt64 = 0xdead_0000_0000_0100
  private static let listPoison2: UInt64 = 0xdead_0000_0000_0122
  /// TAIL_MAPPING, include/linux/poison.h.
  private static let tailMapping: UInt64 = 0xdead_0000_0000_0400
  /// `_mapcount` -1: neither mapped nor typed.
  private static let untyped: UInt32 = .max
  /// LAST_CPUPID of a page that no task faulted: all ones, below the zone.
  private static let lastCPU: UInt64 = 0x7_ffff_c000_0000

  private let plan: MachinePlan
  private let addresses: MachineAddresses
  private let generation: KernelGeneration
  private let tailsHoldMask: Bool
  private let slabListOverlaysMapping: Bool
  private let flags: PageFlags
  private let types: PageTypes
  private let compoundOrder: CompoundOrder
  private let seed: UInt64

  init(_ plan: MachinePlan, _ addresses: MachineAddresses) {
    self.plan = plan
    self.addresses = addresses
    generation = plan.configuration.generation
    tailsHoldMask = generation.tailsHoldMask
    slabListOverlaysMapping = generation.slabListOverlaysMapping
    flags = generation.flags
    types = generation.types
    compoundOrder = generation.compoundOrder
    seed = SeededRandom.mix(plan.configuration.seed)
  }

  /// `location`: what `location(_:_:)` says of the frame. `links`: next and previous of the list that it is
  /// on, for a free head or a page on the LRU.
  func write(_ frame: UInt64, _ page: SyntheticPage, location: UInt64, links: (UInt64, UInt64)?, to words: Words) {
    if page.kind == .hole {
      let fill = UInt64(plan.configuration.holeFill) &* 0x0101_0101_0101_0101
      for index in 0..<8 { words[index] = fill }
      return
    }
    for index in 1..<8 { words[index] = 0 }
    words[0] = location
    setType(StructPageWriter.untyped, references: 0, words)
    if page.isTail {
      writeTail(frame, page, words)
    } else {
      if page.order > 0, page.kind.isCompound { words[0] |= bit(flags.head) }
      let noise = SeededRandom.mix(frame ^ seed)
      switch page.kind {
      case .buddy, .unaccepted, .perCPUFree: writeFree(frame, page, links, words)
      case .slab: writeSlab(frame, noise, words)
      case .fileCache, .filePrivate, .tmpfs, .swapReadahead, .fileOffLRU: writeFile(page.kind, noise, links, words)
      case .anonymous, .anonymousOffLRU, .swapCached, .transparentHuge, .ksm, .hugetlb:
        writeUser(frame, page.kind, noise, links, words)
      case .hole: break
      case .movableKernel, .pageTable, .largeKmalloc, .zsmalloc, .kernelCompound, .kernel, .reserved, .offline, .poisoned,
        .reservedHole:
        writeKernel(frame, page.kind, noise, words)
      }
    }
    if page.isPoisoned { words[0] |= bit(flags.hwpoison) }
  }

  // MARK: common parts

  private func bit(_ number: UInt64) -> UInt64 { 1 << number }

  private func setType(_ type: UInt32, references: UInt64, _ words: Words) { words[6] = UInt64(type) | references << 32 }

  /// Zone and node in the top bits of `flags`; without vmemmap the section instead of the node
  /// (page-flags-layout.h). The same for all pages of a block.
  func location(_ frame: UInt64, _ zone: SyntheticZone?) -> UInt64 {
    let type = UInt64(zone?.type ?? 0)
    if plan.configuration.pageMap == .separate {
      let width = UInt64(addresses.physicalMemoryBits - 27)
      return (frame / MachinePlan.sectionPages) << (64 - width) | type << (61 - width)
    }
    // NODES_SHIFT is 10 on x86_64, 4 on arm64 (Debian's kernels); five zones take three bits.
    let nodeShift: UInt64 = addresses.architecture == .arm64 ? 60 : 54
    return UInt64(zone?.node ?? 0) << nodeShift | type << (nodeShift - 3) | StructPageWriter.lastCPU
  }

  /// A pointer to some object of the kernel, aligned to 64 bytes.
  private func object(_ noise: UInt64) -> UInt64 { addresses.direct(16 << 20 + noise % (64 << 20) & ~63) }

  /// Neighbours on the LRU. A page alone is an mlocked one, which is on no list (5.18; nobody looks at the
  /// version).
  private func setListed(_ links: (UInt64, UInt64)?, _ words: Words) {
    words[0] |= bit(flags.lru)
    words[1] = links?.0 ?? StructPageWriter.listPoison1
    words[2] = links?.1 ?? 0xdead_0000 << 32
  }

  /// Neighbours in some list: hugetlbfs' own are not walked by anybody, so they need only look right.
  private func setNeighbours(_ frame: UInt64, _ words: Words) {
    words[1] = plan.listAddress(frame ^ 1, addresses)
    words[2] = plan.listAddress(frame ^ 2, addresses)
  }

  private func setSelfLink(_ frame: UInt64, _ words: Words) {
    words[1] = plan.listAddress(frame, addresses)
    words[2] = words[1]
  }

  /// prep_compound_tail, mm/internal.h; order and destructor as `CompoundOrder` says.
  private func writeTail(_ frame: UInt64, _ page: SyntheticPage, _ words: Words) {
    let order = UInt64(page.order)
    words[1] =
      tailsHoldMask
      ? ~(64 << order - 1) | 1 : plan.pageAddress(frame - UInt64(page.index), addresses) | 1
    words[3] = StructPageWriter.tailMapping
    guard page.index == 1 else { return }
    switch compoundOrder {
    case .bytes:
      // COMPOUND_PAGE_DTOR 1, HUGETLB_PAGE_DTOR 2, TRANSHUGE_PAGE_DTOR 3; then `compound_mapcount`.
      let destructor: UInt64 = page.kind == .hugetlb ? 2 : page.kind == .transparentHuge ? 3 : 1
      words[2] = destructor | order << 8 | 0xffff_ffff << 32
      // compound_nr: at 24 in 5.10, at 28 in 6.1; _folio_nr_pages at 32 in 6.3.
      switch generation {
      case .v5_10: words[3] = 0xdead_0000 << 32 | 1 << order
      case .v6_1: words[3] = 1 << (order + 32)
      default:
        words[3] = 0
        words[4] = 1 << order
      }
    case .flags(let hugetlb):
      words[0] |= order
      if page.kind == .hugetlb, let hugetlb { words[0] |= bit(hugetlb) }
      words[3] = 0
    }
  }

  // MARK: kinds

  private func writeFree(_ frame: UInt64, _ page: SyntheticPage, _ links: (UInt64, UInt64)?, _ words: Words) {
    if page.kind == .perCPUFree {
      setSelfLink(frame, words)
      words[4] = 1
    } else if page.index > 0 {
      // Pages inside a free chunk keep what they were left with.
      words[1] = StructPageWriter.listPoison1
      words[2] = StructPageWriter.listPoison2
    } else if page.kind == .unaccepted {
      setSelfLink(frame, words)
      setType(types.unaccepted ?? StructPageWriter.untyped, references: 0, words)
    } else {
      words[1] = links?.0 ?? 0
      words[2] = links?.1 ?? 0
      words[5] = UInt64(page.order)
      setType(types.buddy, references: 0, words)
    }
  }

  /// struct page until 5.16, struct slab since (mm/slab.h). Since 6.2 `slab_cache` comes first and the list
  /// overlays `mapping`; in a CPU's partial list `slabs` stands there, a count, which may be odd and then
  /// looks like anonymous memory.
  private func writeSlab(_ frame: UInt64, _ noise: UInt64, _ words: Words) {
    let cache = object(noise)
    if slabListOverlaysMapping {
      words[1] = cache
      words[2] = noise & 1 == 0 ? StructPageWriter.listPoison1 : plan.pageAddress(frame, addresses)
      words[3] = noise & 1 == 0 ? StructPageWriter.listPoison2 : noise >> 8 & 31
    } else {
      words[1] = StructPageWriter.listPoison1
      words[2] = StructPageWriter.listPoison2
      words[3] = cache
    }
    words[4] = addresses.direct(frame * 4096 + noise >> 32 & 0xfc0)
    words[5] = 0x40_0040
    if let slab = flags.slab { words[0] |= bit(slab) }
    setType(types.slab ?? StructPageWriter.untyped, references: 1, words)
  }

  private func writeFile(_ kind: PageKind, _ noise: UInt64, _ links: (UInt64, UInt64)?, _ words: Words) {
    words[0] |= bit(flags.uptodate)
    if noise & 1 != 0 { words[0] |= bit(flags.referenced) }
    if noise & 14 == 0 { words[0] |= bit(flags.dirty) }
    words[4] = noise >> 40
    words[7] = object(noise >> 7)
    // One in four is mapped by somebody.
    setType(noise & 0x300 == 0 ? UInt32(noise >> 12 & 3) : StructPageWriter.untyped, references: 2, words)
    if kind == .swapReadahead {
      words[0] |= bit(flags.swapcache) | bit(flags.swapbacked)
      words[5] = noise >> 20
      return
    }
    words[3] = object(noise >> 13)
    if kind == .fileOffLRU { return }
    setListed(links, words)
    if noise & 0x30 == 0 { words[0] |= bit(flags.active) }
    if kind == .tmpfs { words[0] |= bit(flags.swapbacked) }
    if kind == .filePrivate {
      words[0] |= bit(flags.privateData)
      words[5] = object(noise >> 3)
    }
  }

  /// Anonymous memory: PAGE_MAPPING_ANON is bit 0 of `mapping`, PAGE_MAPPING_KSM both low bits.
  private func writeUser(
    _ frame: UInt64, _ kind: PageKind, _ noise: UInt64, _ links: (UInt64, UInt64)?, _ words: Words
  ) {
    words[0] |= bit(flags.uptodate)
    words[4] = noise >> 30
    words[7] = object(noise >> 7)
    if kind == .hugetlb { return writeHugetlb(frame, noise, words) }
    words[3] = object(noise) | (kind == .ksm ? 3 : 1)
    words[0] |= bit(flags.swapbacked)
    setType(0, references: 1, words)
    if kind == .anonymousOffLRU { return }
    setListed(links, words)
    if kind == .swapCached {
      words[0] |= bit(flags.swapcache)
      words[5] = noise >> 20
    }
  }

  /// A third is mapped privately (anonymous), a third by a file of hugetlbfs, a third free in the pool.
  private func writeHugetlb(_ frame: UInt64, _ noise: UInt64, _ words: Words) {
    setNeighbours(frame, words)
    let use = noise % 3
    if use > 0 { words[3] = object(noise) | (use == 1 ? 1 : 0) }
    setType(types.hugetlb ?? StructPageWriter.untyped, references: use > 0 ? 1 : 0, words)
  }

  private func writeKernel(_ frame: UInt64, _ kind: PageKind, _ noise: UInt64, _ words: Words) {
    var type = StructPageWriter.untyped
    switch kind {
    case .pageTable: type = types.table
    case .largeKmalloc: type = types.largeKmalloc ?? type
    case .offline: type = types.offline
    case .poisoned: words[0] |= bit(flags.hwpoison)
    case .reserved, .reservedHole:
      words[0] |= bit(flags.reserved)
      setSelfLink(frame, words)
    case .zsmalloc where types.zsmalloc != nil:
      // The low bits of the type word are zsmalloc's own (6.11: 16, 6.12: 24 bits).
      type = (types.zsmalloc ?? 0) & 0xffff_0000 | UInt32(noise & 0xfff)
      words[0] |= bit(flags.privateData)
      words[5] = object(noise)
    case .zsmalloc, .movableKernel:
      // PAGE_MAPPING_MOVABLE: bit 1 of `mapping`, without bit 0.
      words[3] = object(noise) | 2
    default: words[5] = noise & 3 == 0 ? object(noise) : 0
    }
    setType(type, references: 1, words)
  }
}
