internal import DumpBasics

/// Where everything is in the synthetic machine's physical memory: RAM, sections, nodes, zones, and what each
/// 4 MiB block is. Nothing here grows with the size of the machine but a few dozen runs of blocks.
final class MachinePlan: Sendable {
  /// SECTION_SIZE_BITS 27.
  static let sectionPages: UInt64 = 1 << 15
  static let pageMapSection: UInt64 = sectionPages * 64
  private static let blockPages = UInt64(BlockPattern.pages)
  private static let fourGiB: UInt64 = 1 << 20

  /// What the pages of a run of blocks are.
  enum Source: Sendable {
    /// Patterns of the zone; `before` ordinary blocks of the zone come before this run.
    case regular(zone: Int, before: UInt64)
    case special(zone: Int, index: Int)
    case uniform(zone: Int?, PageKind)
    /// 1 GiB hugetlb pages.
    case gigantic(zone: Int)
  }
  struct Extent: Sendable {
    var blocks: Range<UInt64>
    var source: Source
  }
  /// Sections with a page map, whose maps lie one behind the other.
  struct SectionRun: Sendable {
    var sections: Range<UInt64>
    var node: Int
    /// Sections with a map before these.
    var before: UInt64
    /// Physical address of the first map.
    var map: UInt64
  }

  let configuration: SyntheticMachineConfiguration
  /// Usable memory, in pages.
  let memory: [Range<UInt64>]
  /// What the dump holds: memory without firmware's first page and the crash kernel's.
  let dumped: [Range<UInt64>]
  let nodeSpans: [Range<UInt64>]
  let sections: [SectionRun]
  let zones: [SyntheticZone]
  let extents: [Extent]
  /// In pages, all aligned to blocks.
  let image: Range<UInt64>
  let arena: Range<UInt64>
  let crashKernel: Range<UInt64>

  /// `arenaPages`: how much room the kernel's own structures need.
  init(_ configuration: SyntheticMachineConfiguration, arenaPages: (UInt64) -> UInt64) {
    self.configuration = configuration
    let block = MachinePlan.blockPages
    let lowTop = configuration.lowMemory / 4096
    let highTop = MachinePlan.fourGiB + (configuration.memory - configuration.lowMemory) / 4096
    let hasHigh = highTop > MachinePlan.fourGiB
    // ACPI tables take the last pages below the border, as QEMU and real firmware do it.
    let lowEnd = lowTop - 38
    var memory = [0..<UInt64(0x9f), 0x100..<lowEnd]
    if hasHigh { memory.append(MachinePlan.fourGiB..<highTop) }
    self.memory = memory

    let lowSections = 0..<(lowTop + MachinePlan.sectionPages - 1) / MachinePlan.sectionPages
    let firstHigh = MachinePlan.fourGiB / MachinePlan.sectionPages
    let highSections = firstHigh..<max(firstHigh, (highTop + MachinePlan.sectionPages - 1) / MachinePlan.sectionPages)
    let end = hasHigh ? highTop : lowEnd
    var border = end
    if configuration.nodes > 1 {
      // In the middle of what lies above 4 GiB, if that can be cut at a section; else at 4 GiB; else in the
      // middle of all.
      let split = hasHigh ? highSections : lowSections
      border = (split.lowerBound + UInt64(split.count) / 2) * MachinePlan.sectionPages
      precondition(border > lowSections.lowerBound, "two nodes need two sections")
    }
    // A node ends with its last page of memory.
    let firstEnd = memory.last { $0.lowerBound < border }.map { min($0.upperBound, border) } ?? end
    nodeSpans = configuration.nodes > 1 ? [1..<firstEnd, border..<end] : [1..<end]
    var runs: [(Range<UInt64>, Int)] = []
    for piece in [lowSections, highSections] {
      let middle = min(max(border / MachinePlan.sectionPages, piece.lowerBound), piece.upperBound)
      let cut = configuration.nodes > 1 ? middle : piece.upperBound
      if piece.lowerBound < cut { runs.append((piece.lowerBound..<cut, 0)) }
      if cut < piece.upperBound { runs.append((cut..<piece.upperBound, 1)) }
    }

    // From 16 MiB up: kernel image (moved by KASLR), page tables and mem_section, the crash kernel's
    // reservation.
    var random = SeededRandom(configuration.seed ^ 0x706c_616e)
    let start = 4 * block + UInt64(random.below(4)) * block
    image = start..<start + 8 * block
    let sectionCount = UInt64(lowSections.count + highSections.count)
    let arenaBlocks = (arenaPages(sectionCount) + block - 1) / block
    arena = image.upperBound..<image.upperBound + arenaBlocks * block
    let crashBlocks: UInt64 = configuration.memory >= 4 << 30 ? 64 : 4
    crashKernel = arena.upperBound..<arena.upperBound + crashBlocks * block
    let crash = crashKernel
    dumped = [1..<0x9f, 0x100..<crash.lowerBound, crash.upperBound..<lowEnd] + memory.dropFirst(2)

    let movableStart = MachinePlan.movableStart(configuration, memory, nodeSpans)
    var taken: [(Range<UInt64>, Source)] = []
    let reserved = Source.uniform(zone: nil, .reserved)
    taken.append((image.lowerBound / block..<crash.upperBound / block, reserved))
    // Each node's page map lies at the top of its memory that is not movable.
    var sectionRuns: [SectionRun] = []
    var before: UInt64 = 0
    for node in nodeSpans.indices {
      let own = runs.filter { $0.1 == node }
      let count = own.reduce(0) { $0 + UInt64($1.0.count) }
      let blocks = (count * MachinePlan.pageMapSection / 4096 + block - 1) / block
      let top = min(nodeSpans[node].upperBound, node == nodeSpans.count - 1 ? movableStart : .max) / block
      taken.append((top - blocks..<top, reserved))
      var map = (top - blocks) * block * 4096
      for (sections, _) in own {
        sectionRuns.append(SectionRun(sections: sections, node: node, before: before, map: map))
        before += UInt64(sections.count)
        map += UInt64(sections.count) * MachinePlan.pageMapSection
      }
    }
    sections = sectionRuns.sorted { $0.sections.lowerBound < $1.sections.lowerBound }

    var layout = ZoneMaker(configuration, memory, taken)
    layout.makeZones(nodeSpans, movableStart: movableStart)
    layout.fillHoles(sections.map { $0.sections.lowerBound * 32..<$0.sections.upperBound * 32 })
    zones = layout.zones
    extents = layout.extents.sorted { $0.blocks.lowerBound < $1.blocks.lowerBound }
  }

  /// The last node's movable share, from a block border up to the end of memory.
  private static func movableStart(
    _ configuration: SyntheticMachineConfiguration, _ memory: [Range<UInt64>], _ nodes: [Range<UInt64>]
  ) -> UInt64 {
    guard let node = nodes.last, let top = memory.last else { return 0 }
    let range = max(node.lowerBound, top.lowerBound)..<top.upperBound
    let pages = UInt64(range.count) * configuration.movableShare / 100
    return (range.upperBound - pages) / blockPages * blockPages
  }

  /// The run that `block` is in; nil where no section with a map is.
  func extent(ofBlock block: UInt64) -> Extent? {
    let index = extents.partitionPoint { $0.blocks.upperBound <= block }
    return index < extents.count && extents[index].blocks.contains(block) ? extents[index] : nil
  }

  func sectionRun(_ section: UInt64) -> SectionRun? {
    sections.first { $0.sections.contains(section) }
  }

  /// Physical address of a section's map. Without vmemmap they lie in reverse order, so that nothing is right
  /// by chance.
  func pageMap(ofSection section: UInt64) -> UInt64? {
    guard let run = sectionRun(section) else { return nil }
    let index = section - run.sections.lowerBound
    let place = configuration.pageMap == .separate ? UInt64(run.sections.count) - 1 - index : index
    return run.map + place * MachinePlan.pageMapSection
  }

  /// The section whose map holds the physical address, and the byte in the map; nil where no page map is.
  func section(mappedAt address: UInt64) -> (section: UInt64, offset: UInt64)? {
    for run in sections {
      let size = UInt64(run.sections.count) * MachinePlan.pageMapSection
      guard address >= run.map, address - run.map < size else { continue }
      let place = (address - run.map) / MachinePlan.pageMapSection
      let index = configuration.pageMap == .separate ? UInt64(run.sections.count) - 1 - place : place
      return (run.sections.lowerBound + index, (address - run.map) % MachinePlan.pageMapSection)
    }
    return nil
  }

  func isDumped(_ frame: UInt64) -> Bool { dumped.contains { $0.contains(frame) } }
}
