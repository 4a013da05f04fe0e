public import DumpBasics
public import DumpSource
public import PageClasses

/// Memory that goes into the dump, all of one pass.
public struct KeptRun: Sendable, Equatable {
  public var range: PhysicalRange
  public var pass: Pass
  /// Within a pass, lower ones stand first.
  public var rank: Int
  public init(_ range: PhysicalRange, _ pass: Pass, rank: Int = 0) {
    self.range = range
    self.pass = pass
    self.rank = rank
  }
}

/// What goes into the dump and what does not: together all memory of the source, each byte once.
public struct PageSelection: Sendable {
  public var level: String
  /// Sorted by address, disjoint.
  public var kept: [KeptRun]
  /// Sorted by address, disjoint.
  public var absent: [AbsentRange]
  public var pageSize: PageSize

  /// Selects by level. `witnesses` are the pages of pass 1: those that reading the log touched. `classes` have to be there
  /// for a level that needs them, and put memory into its pass at any other; where they are not, all memory is taken for
  /// the kernel's. `core` is what of the kernel's memory is in pass 2.
  public init(
    _ level: Level, _ source: any DumpSource, witnesses: [PageFrame], classes: PageClassification? = nil,
    core: KernelCore? = nil, pageSize: PageSize
  ) {
    self.level = level.rawValue
    self.pageSize = pageSize
    kept = []
    absent = []
    let first = RangeSet.joined(
      witnesses.compactMap { PhysicalRange(start: pageSize.address(of: $0).rawValue, count: pageSize.bytes) })
    var cursor = ClassCursor(classes, pageSize)
    let earlier = level == .all ? source.metadata.map { EarlierPasses($0.note, source.coverage(), source.segments) } : nil
    for piece in source.coverage() {
      if piece.kind == .cut {
        absent.append(AbsentRange(piece.range, .sourceCut))
        continue
      }
      if let earlier {
        kept.append(earlier.run(piece))
        continue
      }
      cursor.forEach(in: piece.range) { range, pageClass in
        guard pageClass == .kernel, let core else { return select(range, pageClass, pageClass.pass, 0, level, first) }
        core.forEach(in: range, pageSize) { range, part in
          select(range, pageClass, part == nil ? .kernel : .kernelCore, Int(part?.rawValue ?? 0), level, first)
        }
      }
    }
    if earlier == nil { kept = coarsened(kept, limit: PageSelection.runLimit, pageSize) }
    carryOver(from: source)
  }

  /// Runs of memory beyond which the order gets coarser: each costs a program header, of which there may be 200,000, and
  /// long zero runs want some too.
  static let runLimit = 100_000

  private mutating func select(
    _ range: PhysicalRange, _ pageClass: PageClass, _ pass: Pass, _ rank: Int, _ level: Level, _ first: [PhysicalRange]
  ) {
    var runs = RangeSet.overlapping(first, range).compactMap { $0.intersection(range) }.map { KeptRun($0, .witness) }
    for rest in RangeSet.subtracting(first, from: range) {
      if level.keeps(pageClass) {
        runs.append(KeptRun(rest, pass, rank: rank))
      } else if let last = absent.last, last.range.end == rest.start, last.reason == .level,
        last.pageClass == number(pageClass, level)
      {
        absent[absent.count - 1].range.end = rest.end
      } else {
        absent.append(AbsentRange(rest, .level, pageClass: number(pageClass, level)))
      }
    }
    kept += runs.sorted { $0.range.start < $1.range.start }
  }

  /// The class as it stands in the dump; 0 where none was looked for.
  private func number(_ pageClass: PageClass, _ level: Level) -> UInt32 { level.needsClasses ? UInt32(pageClass.rawValue) : 0 }

  /// Plain ascending order: all is in one pass.
  public mutating func orderByAddress() { kept = kept.map { KeptRun($0.range, .kernel) } }

  /// When the source is a dump of ours: what it left out stays named, what it could not read becomes a gap.
  private mutating func carryOver(from source: any DumpSource) {
    guard let metadata = source.metadata else { return }
    if level == Level.all.rawValue { level = metadata.note.level }
    let unreadable = RangeSet.joined(metadata.trailer?.unreadable ?? [])
    if !unreadable.isEmpty {
      kept = kept.flatMap { run in
        RangeSet.subtracting(unreadable, from: run.range).map { KeptRun($0, run.pass, rank: run.rank) }
      }
    }
    absent += metadata.note.leftOut + unreadable.map { AbsentRange($0, .unreadable) }
    absent.sort { $0.range.start < $1.range.start }
  }
}

/// Goes through memory and its classes side by side, both ascending.
private struct ClassCursor {
  private var runs: ClassRuns.Iterator?
  private var current: ClassRun?
  private let pageSize: PageSize

  /// Without classes everything is the kernel's.
  init(_ classes: PageClassification?, _ pageSize: PageSize) {
    runs = classes?.runs.makeIterator()
    current = runs?.next()
    self.pageSize = pageSize
  }

  /// Calls `body` for each stretch of one class in `range`. Ranges have to come in ascending order.
  mutating func forEach(in range: PhysicalRange, _ body: (PhysicalRange, PageClass) -> Void) {
    var position = range.start
    while position < range.end {
      while let run = current, run.range.upperBound << pageSize.shift <= position { current = runs?.next() }
      var end = range.end
      var pageClass = PageClass.kernel
      if let run = current {
        let start = run.range.lowerBound << pageSize.shift
        if start <= position {
          end = min(end, run.range.upperBound << pageSize.shift)
          pageClass = run.pageClass
        } else {
          end = min(end, start)
        }
      }
      if let part = PhysicalRange(position, end) { body(part, pageClass) }
      position = end
    }
  }
}
