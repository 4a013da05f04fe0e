public import DumpBasics
public import DumpSource
public import PageClasses

/// Memory that goes into the dump, all of one pass.
public struct KeptRun: Sendable, Equatable {
  public var range: PhysicalRange
  /// Within a pass, lower ones stand first.
  public var rank: UInt32
  public var pass: Pass
  public init(_ range: PhysicalRange, _ pass: Pass, rank: UInt32 = 0) {
    self.range = range
    self.pass = pass
    self.rank = rank
  }
}

/// What goes into the dump and what does not: together all memory of the source, each byte once.
public struct PageSelection: Sendable {
  /// The name of the level, as far as the source has it.
  public private(set) var level: String
  /// Sorted by address, disjoint.
  public var kept: [KeptRun]
  public private(set) var absent = AbsentRanges()
  public var pageSize: PageSize
  /// What a dump of ours that is converted has once for several places, as `DumpSource.sharedMemory()` gives
  /// it.
  public private(set) var shared: [SharedRange] = []

  /// Memory that is kept and reads as zeros, since the source has no data for it: whole pages, and how many
  /// of each class.
  public private(set) var withoutData = AbsentRanges()
  public private(set) var pagesWithoutData: [PageClass: UInt64] = [:]

  /// Gaps that are kept since they are too small to be worth a program header, and their pages.
  public private(set) var closedGaps: UInt64 = 0
  public private(set) var closedPages: UInt64 = 0

  /// Program headers that memory gets by classes and passes. Long zero runs get theirs from what `DumpPlan`
  /// has beyond it.
  public static let stretchLimit = 150_000

  /// Selects by level. `witnesses` are the pages of pass 1: those that reading the log touched. `classes`
  /// have to be there for a level that needs them, and put memory into its pass at any other; where they are
  /// not, all memory is taken for the kernel's. `core` is what of the kernel's memory is in pass 2.
  public init(
    _ level: Level, _ source: any DumpSource, witnesses: [PageFrame], classes: PageClassification? = nil,
    core: KernelCore? = nil, pageSize: PageSize, stretchLimit: Int = PageSelection.stretchLimit
  ) {
    // Whatever is asked for: what the source left out is not there.
    self.level =
      (level == .all ? source.statement?.level : nil) ?? Level.stated(by: source).map { level.within($0).name } ?? level.name
    self.pageSize = pageSize
    kept = []
    if level == .all, let note = source.metadata?.note {
      shared = source.sharedMemory()
      let passes = EarlierPasses(note, source.coverage(), source.segments, shared: shared.map(\.range))
      kept = source.coverage().filter { $0.kind != .cut }.map(passes.run)
    } else {
      let stretches = Stretches(level, source, witnesses, classes, core, pageSize)
      var merger = StretchMerger(.first(of: pageSize) { stretches.count($0) <= stretchLimit })
      stretches.forEach { merger.add($0) { append($0) } }
      merger.finish { append($0) }
      closedGaps = merger.closedGaps
      closedPages = merger.closedBytes >> pageSize.shift
    }
    let cut = source.coverage().lazy.filter { $0.kind == .cut }.map { AbsentRange($0.range, .sourceCut) }
    if !cut.isEmpty { absent = absent.merged(with: cut) }
    carryOver(from: source)
    noteWithoutData(source, classes)
  }

  private mutating func noteWithoutData(_ source: any DumpSource, _ classes: PageClassification?) {
    let ranges = source.withoutData
    if ranges.isEmpty { return }
    var cursor = ClassCursor(classes, pageSize)
    let kept = RangeSet.joined(kept.map(\.range))
    for range in ranges {
      for common in RangeSet.common(kept, range) {
        guard let start = pageSize.ceil(common.start), let whole = PhysicalRange(start, pageSize.floor(common.end)) else {
          continue
        }
        withoutData.append(AbsentRange(whole, .level))
        cursor.forEach(in: whole) { pagesWithoutData[$1, default: 0] += pageSize.pages(in: $0) }
      }
    }
  }

  /// Plain ascending order: all is in one pass.
  public mutating func orderByAddress() { kept = kept.map { KeptRun($0.range, .kernel) } }

  private mutating func append(_ stretch: Stretch) {
    switch stretch.fate {
    case .kept(let place): kept.append(KeptRun(stretch.range, place.pass, rank: place.rank))
    case .leftOut(let number): absent.append(AbsentRange(stretch.range, .level, pageClass: number))
    }
  }

  /// What the source left out stays named; what a dump of ours could not read becomes a gap.
  private mutating func carryOver(from source: any DumpSource) {
    guard let metadata = source.metadata else {
      absent = absent.merged(with: source.leftOut)
      return
    }
    let unreadable = RangeSet.joined(metadata.trailer?.unreadable ?? [])
    if !unreadable.isEmpty {
      kept = kept.flatMap { run in
        RangeSet.subtracting(unreadable, from: run.range).map { KeptRun($0, run.pass, rank: run.rank) }
      }
    }
    absent = absent.merged(with: metadata.note.leftOut).merged(with: unreadable.lazy.map { AbsentRange($0, .unreadable) })
  }
}
