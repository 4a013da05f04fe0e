public import CrashedKernel
public import DumpBasics
internal import DumpSource
public import Workers

/// The class of every page of a dump, and how it was verified.
///
/// A page is something else than `kernel` only if the kernel's metadata says so and that metadata passed the
/// checks (`Check`). What fails one is `kernel`, and the finding is recorded; nothing here fails as a whole.
/// Memory used is bounded: see `ClassRuns.byteLimit`.
public struct PageClassification: Sendable {
  /// All pages of the dump, ascending. Pages that the dump has a part of are whole here.
  public let runs: ClassRuns
  public let counts: ClassCounts
  /// The kernel's slab pages, generously.
  let slab: BlockSet
  /// Where the page map lies in memory; sorted, disjoint.
  let map: [PhysicalRange]
  /// Every check, in a fixed order, also those that were not made.
  public let checks: [CheckResult]
  /// What failed, by section, zone and pfn: at most `Findings.limit` lines in full, then as many that count
  /// the rest by place, and one for the rest that is about no page.
  public let findings: [DumpError]
  /// For each finding the page frames that it is about; empty for one about something else.
  public let findingFrames: [Range<UInt64>]
  /// Of a kernel that runs: what contradicts something else, since it changed while it was read. What it is
  /// about is kept, and `checks` count it.
  public let momentary: [DumpError]
  public let trust: Trust

  public subscript(_ check: Check) -> CheckResult { checks[check.rawValue] }

  /// Pages that the page map calls free and no free list confirms: kept, and counted on a line of their own.
  public var unconfirmedFreePages: UInt64 {
    [Check.freeLists, .freeCount, .zoneCounter].reduce(0) { $0 + self[$1].keptPages }
  }

  /// Classifies all pages of the kernel's dump, with `work`'s threads.
  public init(_ kernel: CrashedKernel, trust: Trust = .checked, work: OrderedWork) {
    var attempt = ClassificationAttempt(kernel, trust, work)
    let result = attempt.run()
    self.trust = trust
    runs = result.runs
    counts = result.counts
    slab = attempt.slab
    map = attempt.map
    checks = attempt.checks.results
    findings = attempt.findings.reported
    findingFrames = attempt.findings.frames
    momentary = attempt.momentary.reported
  }
}

/// The way to a classification, with what was found on it.
private struct ClassificationAttempt {
  let kernel: CrashedKernel
  let trust: Trust
  let work: OrderedWork
  /// Page frames of the dump, ascending, disjoint.
  let frames: [Range<UInt64>]
  var slab = BlockSet()
  var map: [PhysicalRange] = []
  var checks = CheckTable()
  var findings = Findings()
  var momentary = Findings()
  private var isLive: Bool { kernel.source.isLive }

  init(_ kernel: CrashedKernel, _ trust: Trust, _ work: OrderedWork) {
    self.kernel = kernel
    self.trust = trust
    self.work = work
    frames = framesOf(kernel)
  }

  mutating func run() -> (runs: ClassRuns, counts: ClassCounts) {
    if trust == .nothing { return everythingKernel() }
    // CPUs that run leave no registers.
    if !isLive { processors() }
    do throws(DumpError) {
      let result = try classify()
      record(result)
      slab = result.slab
      map = RangeSet.joined(result.extents.map(\.range))
      return (result.runs, result.counts)
    } catch {
      var finding = error.inside("page classes")
      finding.advice = "every page is kept"
      findings.add(finding, Findings.allFrames)
      let all = everythingKernel()
      checks.failed(.layout, kept: all.counts[.kernel])
      return all
    }
  }

  private func everythingKernel() -> (runs: ClassRuns, counts: ClassCounts) {
    var runs = ClassRuns()
    var counts = ClassCounts()
    for range in frames {
      runs.pieces.append(ClassRuns.Piece(first: range.lowerBound, count: UInt64(range.count), bytes: []))
      counts[.kernel] += UInt64(range.count)
    }
    return (runs, counts)
  }

  private mutating func processors() {
    let census = ProcessorCensus(kernel)
    checks[.processors].tried += UInt64(census.online ?? 0)
    checks[.processors].failed += UInt64(census.missing)
    for finding in census.findings { findings.add(finding, Findings.noFrames) }
  }

  // MARK: The passes

  private mutating func classify() throws(DumpError) -> PageScan.Result {
    guard let info = kernel.vmcoreinfo else { throw DumpError("the dump has no VMCOREINFO note") }
    guard let whole = kernel.memory else { throw DumpError("the kernel's addresses can't be translated") }
    guard kernel.source.identity.byteOrder == .little else {
      throw DumpError(.unsupported, "page maps of big-endian machines are not known")
    }
    let memory = whole.separate(recording: false)
    let layout = try PageLayout(info)
    for finding in layout.types.refused { findings.add(finding, Findings.noFrames) }
    let sections = try SectionTable(
      info, memory, of: framesOf(kernel, withData: true), pageSize: kernel.pageSize, layout: layout,
      physicalBits: kernel.source.identity.architecture.physicalAddressBits, trust: trust, &checks, &findings)
    var rules = try rules(info, memory, layout, sections)
    rules.refused = movedSections(memory, layout, sections, rules.zones.field)
    checks.passed(.layout)
    let scan = PageScan(source: kernel.source, memory: memory, sections: sections, frames: frames, work: work)
    var result = try scan.run(rules)
    if trust != .checked { return result }

    // A second pass only where the first one was wrong in believing: damaged page tables or free lists.
    let shared = sharedSections(result.extents, layout, sections)
    if !shared.isEmpty {
      rules.refused.formUnion(shared)
      result.runs = ClassRuns()  // never two of them in memory
      result = try scan.run(rules)
    }
    let check = FreeListCheck(
      rules: rules,
      walk: { FreeListWalk(memory: memory, layout: layout, sections: sections, limit: $0) },
      processors: kernel.cpuCount)
    let verdicts = isLive ? check.verdicts(result, &checks, &momentary) : check.verdicts(result, &checks, &findings)
    rules.brokenLinks = result.links.broken
    if !verdicts.isClean || rules.brokenLinks != nil {
      rules.verdicts = verdicts
      result.runs = ClassRuns()
      result = try scan.run(rules)
    }
    for number in rules.refused.union(sections.refused) {
      let first = number << sections.geometry.shift
      result.kept[(rules.refused.contains(number) ? Check.sectionMap : .sectionPointer).rawValue] +=
        pagesIn(frames, first..<first + sections.geometry.pages)
    }
    return result
  }

  /// What the scan has to know, put together from all that describes the page map.
  private mutating func rules(
    _ info: VMCoreInfo, _ memory: KernelMemory, _ layout: PageLayout, _ sections: SectionTable
  ) throws(DumpError) -> ScanRules {
    let table = try NodeTable(info, memory)
    let zoneLayout = try ZoneLayout(info, table)
    guard zoneLayout.orders - 1 <= Int(sections.geometry.shift) else {
      throw DumpError("free blocks of order \(zoneLayout.orders - 1) would be larger than a section", at: "VMCOREINFO")
    }
    let nodes =
      trust == .checked ? MemoryNodes(info, memory, table, zoneLayout, &checks, &findings) : MemoryNodes.none
    let end = frames.last?.upperBound ?? 0
    let memoryEnd = end << kernel.pageSize.shift  // frames came from addresses below 2^52
    let space = AddressSpace(
      info, memory, inDirectMap: nodes.addresses + [info.symbol("mem_section")].compactMap { $0 },
      probes: probes(frames, kernel.pageSize),
      memoryEnd: memoryEnd)
    if trust == .checked, !space.directKnown {
      findings.add(
        DumpError("the direct map was not found: pointers are checked less strictly", at: "page classes"), Findings.allFrames)
    }
    let size = UInt64(layout.size)
    let isVirtual =
      sections.commonBase.map {
        !space.directKnown || !space.isDirect($0 &+ (sections.sections.first?.number ?? 0) << sections.geometry.shift &* size)
      } ?? false
    // Up to the last section, also when that one is refused: pages of others are linked to its pages.
    let lastSection = max(sections.sections.last?.number ?? 0, sections.refused.max() ?? 0)
    let mapEnd = (lastSection + 1) << sections.geometry.shift
    return ScanRules(
      layout: layout, geometry: sections.geometry, space: space,
      mapBase: isVirtual ? sections.commonBase ?? 0 : 0, mapSize: isVirtual ? mapEnd * size : 0, trust: trust,
      zones: zoneRules(nodes, memory, layout, zoneLayout, sections, isVirtual), freeOrders: UInt64(zoneLayout.orders),
      hugeOrders: hugeOrders, entriesPerPage: kernel.pageSize.bytes % size == 0 ? kernel.pageSize.bytes / size : nil,
      tailsMayBeMasks: info.offset("page.compound_info") != nil && size.nonzeroBitCount == 1, verdicts: nil)
  }

  private mutating func zoneRules(
    _ nodes: MemoryNodes, _ memory: KernelMemory, _ layout: PageLayout, _ zoneLayout: ZoneLayout, _ sections: SectionTable,
    _ isVirtual: Bool
  ) -> ZoneRules {
    if trust != .checked { return ZoneRules(nodes, nil) }
    // Section numbers are in the flags only without vmemmap.
    let withSection = [true, false].map { ZoneField(zoneLayout, sectionBits: sections.geometry.numberBits, hasNode: $0) }
    let withoutSection = ZoneField(zoneLayout, sectionBits: 0, hasNode: true)
    let candidates = isVirtual ? [withoutSection] + withSection : withSection + [withoutSection]
    let field = nodes.zoneField(candidates.compactMap { $0 }, memory, layout)
    // Without zones there is nothing to try it on, and that is a finding already.
    if field == nil, !nodes.zones.isEmpty {
      findings.add(
        DumpError(
          "pages do not say which zone they are in as other kernels' pages do", at: "page.flags",
          advice: "free lists are checked for all zones together"), Findings.allFrames)
    }
    return ZoneRules(nodes, field)
  }

  /// Orders of hugetlbfs' pages: x86_64 has 2 MiB and 1 GiB; arm64 four sizes for each size of page
  /// (arch/arm64/mm/hugetlbpage.c), which are nearly all orders there are.
  private var hugeOrders: UInt64 {
    switch kernel.source.identity.architecture {
    case .x86_64: 1 << 9 | 1 << 18
    case .arm64: .max << 1
    }
  }

  /// How many pages into a section its memory begins; nil where it has none.
  private func firstFrame(of section: MapSection, _ sections: SectionTable) -> UInt64? {
    let frames = sections.geometry.frames(section.number)
    let bytes = kernel.pageSize.bytes
    let starts = kernel.source.segments.compactMap { segment -> UInt64? in
      let start = max(frames.lowerBound, (segment.physical.start + bytes - 1) / bytes)
      return start < min(frames.upperBound, segment.physical.end / bytes) ? start : nil
    }
    return starts.min().map { $0 - frames.lowerBound }
  }

  /// Sections whose map is said to lie among its own pages, begins or ends with those of another section, or
  /// begins with none of its own. Without vmemmap a page names its section.
  private mutating func movedSections(
    _ memory: KernelMemory, _ layout: PageLayout, _ sections: SectionTable, _ field: ZoneField?
  ) -> Set<UInt64> {
    guard let field, field.sectionBits > 0 else { return [] }
    let known = Set(sections.sections.map(\.number))
    let size = UInt64(layout.size)
    /// Any small number names section 0: there it has to be a page that nobody maps.
    func named(_ page: UInt64) -> UInt64? {
      guard let flags = try? memory.u64(VirtualAddress(page &+ UInt64(layout.flags))) else { return nil }
      let number = field.section(flags)
      return number > 0 || flags != 0 && (try? memory.u32(VirtualAddress(page &+ UInt64(layout.type)))) == .max ? number : nil
    }
    var refused: Set<UInt64> = []
    for section in sections.sections {
      // All of these wrap only where the map is nonsense.
      let end = section.map &+ sections.geometry.pages * size
      let isAmongItsOwn = [section.map &- size, end].contains { named($0) == section.number }
      let isAnothers = [section.map, end &- 64 * size].contains { start in
        let names = (0..<64).compactMap { named(start &+ $0 * size) }
        // One damaged word is not to cost the section.
        return names.count { $0 != section.number && known.contains($0) } >= 2 && !names.contains(section.number)
      }
      let isNobodys =
        section.number > 0
        && (firstFrame(of: section, sections).map { frame in
          (0..<64).allSatisfy { named(section.map &+ (frame + $0) * size) != section.number }
        } ?? false)
      if !isAmongItsOwn && !isAnothers && !isNobodys { continue }
      refused.insert(section.number)
      checks.failed(.sectionMap)
      findings.add(
        DumpError(
          "the page map at \(hex(section.map)) does not begin and end where the pages say", at: "section \(section.number)",
          advice: "the section is kept"), sections.geometry.frames(section.number))
    }
    return refused
  }

  /// Sections whose map lies in memory that is also another part of the map.
  private mutating func sharedSections(_ extents: [MapExtent], _ layout: PageLayout, _ sections: SectionTable) -> Set<UInt64> {
    var refused: Set<UInt64> = []
    let size = UInt64(layout.size)
    for extent in MapExtent.shared(extents) {
      for section in sections.sections
      where section.map &- extent.address < extent.range.count
        || extent.address &- section.map < sections.geometry.pages * size  // wraps on the wrong side: then it is far
      {
        if !refused.insert(section.number).inserted { continue }
        checks.failed(.sectionMap)
        findings.add(
          DumpError(
            "the page map lies in memory that holds another part of the map too: \(extent.range)",
            at: "section \(section.number)", advice: "the section is kept"), sections.geometry.frames(section.number))
      }
    }
    return refused
  }

  /// Carries a pass's counts into the checks.
  private mutating func record(_ result: PageScan.Result) {
    findings.add(result.findings)
    momentary.add(result.momentary)
    checks[.sectionMap].tried += result.sectionsRead + result.sectionsFailed
    checks[.sectionMap].failed += result.sectionsFailed
    if trust == .checked {
      for check in [Check.pageZone, .pageState, .mapping] { checks[check].tried += result.tally.candidates }
      checks[.lruLinks].tried += result.tally.listed
      checks[.offlinePages].tried += result.tally.offline
      for check in [Check.buddyOrder, .freeBlock] { checks[check].tried += result.tally.blocks }
    }
    checks[.compoundOrder].tried += result.tally.heads
    checks[.tails].tried += result.tally.tails
    for check in [
      Check.pageZone, .pageState, .mapping, .lruLinks, .offlinePages, .buddyOrder, .freeBlock, .compoundOrder, .tails,
    ] {
      checks[check].failed += result.tally.failed[check.rawValue]
    }
    for check in Check.allCases { checks[check].keptPages += result.kept[check.rawValue] }
  }
}
