public import DumpBasics

/// What machine to make. Every choice is reproducible: the same configuration gives the same bytes.
public struct SyntheticMachineConfiguration: Sendable {
  public enum PageMap: String, Sendable, CaseIterable {
    /// SPARSEMEM_VMEMMAP, each section's map by one 2 MiB page.
    case largePages
    /// The same by 4 KiB pages.
    case smallPages
    /// Both, section by section.
    case mixed
    /// SPARSEMEM without vmemmap: each section's map lies somewhere in the direct map.
    case separate
  }

  /// The page map of a 1 GiB hugetlb page: "hugetlb_free_vmemmap" gives most of it back
  /// (mm/hugetlb_vmemmap.c), and maps one page of map again and again in its place, read-only.
  public enum GiganticMap: Sendable, CaseIterable {
    case whole
    /// The page with the head in it, so that a copy of the head begins each: 5.18 to 7.0.
    case headAgain
    /// A page of nothing but tails: 5.14 to 5.17, and since 7.1.
    case tailsAgain
  }

  public var generation: KernelGeneration
  /// arm64: pages of 4 KiB, 48 bits of address, and a VMCOREINFO that does not lead to the nodes; kallsyms
  /// does, from 6.1 on.
  public var architecture: Architecture = .x86_64 {
    didSet { if architecture == .arm64 { pageTableLevels = 4 } }
  }
  /// Bytes of RAM, a multiple of 4 MiB; at least 128 MiB.
  public var memory: UInt64
  /// As much of it lies below 4 GiB, at most 3 GiB; the rest begins at 4 GiB. A multiple of 4 MiB, at least
  /// 128 MiB.
  public var lowMemory: UInt64
  /// 1 or 2 NUMA nodes.
  public var nodes = 1
  /// 4 or 5 levels of page tables. Kernel 5.10 as Debian builds it has 4 only.
  public var pageTableLevels: Int
  public var pageMap = PageMap.largePages
  /// What struct pages of holes hold that nobody set up: 0xff (page_init_poison) or 0.
  public var holeFill: UInt8 = 0xff
  /// Share of the last node's memory that is zone Movable, in percent.
  public var movableShare: UInt64 = 20
  /// 1 GiB hugetlb pages, as far as there is room above 4 GiB.
  public var giganticPages: UInt64 = 0
  public var giganticMap = GiganticMap.whole
  /// Share of the blocks that are fragmented, in percent; the others are huge pages and, every sixth, one
  /// free chunk. This decides how many runs of classes there are: at 64 about 20 for each MiB.
  public var fragmentedShare = 64
  public var cpus = 2
  /// How many different 4 MiB blocks there are; all memory repeats them in pseudo-random order.
  public var patterns = 96
  public var seed: UInt64 = 1

  /// `lowMemory`: all that fits when nil.
  public init(_ generation: KernelGeneration, memory: UInt64, lowMemory: UInt64? = nil, seed: UInt64 = 1) {
    self.generation = generation
    self.memory = memory
    self.lowMemory = lowMemory ?? min(memory, 3 << 30)
    self.seed = seed
    pageTableLevels = generation == .v5_10 ? 4 : 5
  }

  /// 512 MiB, half of it above 4 GiB, so that every zone is there; small enough to be written to a file.
  public static func small(_ generation: KernelGeneration, seed: UInt64 = 1) -> SyntheticMachineConfiguration {
    SyntheticMachineConfiguration(generation, memory: 512 << 20, lowMemory: 256 << 20, seed: seed)
  }
}
