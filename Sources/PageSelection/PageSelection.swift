public import DumpBasics
public import DumpSource

/// How much of the memory goes into a dump. The names are LKCD's.
public enum Level: String, Sendable, CaseIterable {
  /// Notes, registers and the pages that the kernel's log needs.
  case header
  /// Everything.
  case all
}

/// Memory that goes into the dump, all of one pass.
public struct KeptRun: Sendable, Equatable {
  public var range: PhysicalRange
  public var pass: Pass
  public init(_ range: PhysicalRange, _ pass: Pass) {
    self.range = range
    self.pass = pass
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

  /// Selects by level. `witnesses` are the pages of pass 1: those that reading the log touched.
  public init(_ level: Level, _ source: any DumpSource, witnesses: [PageFrame], pageSize: PageSize) {
    self.level = level.rawValue
    self.pageSize = pageSize
    kept = []
    absent = []
    let first = RangeSet.joined(
      witnesses.compactMap { PhysicalRange(start: pageSize.address(of: $0).rawValue, count: pageSize.bytes) })
    for piece in source.coverage() {
      if piece.kind == .cut {
        absent.append(AbsentRange(piece.range, .sourceCut))
        continue
      }
      let witness = RangeSet.overlapping(first, piece.range).compactMap { $0.intersection(piece.range) }
      let rest = RangeSet.subtracting(first, from: piece.range)
      var runs = witness.map { KeptRun($0, .witness) }
      switch level {
      case .header: absent += rest.map { AbsentRange($0, .level) }
      case .all: runs += rest.map { KeptRun($0, .kernel) }
      }
      kept += runs.sorted { $0.range.start < $1.range.start }
    }
    carryOver(from: source)
  }

  /// When the source is a dump of ours: what it left out stays named, what it could not read becomes a gap.
  private mutating func carryOver(from source: any DumpSource) {
    guard let metadata = source.metadata else { return }
    if level == Level.all.rawValue { level = metadata.note.level }
    let unreadable = RangeSet.joined(metadata.trailer?.unreadable ?? [])
    if !unreadable.isEmpty {
      kept = kept.flatMap { run in
        RangeSet.subtracting(unreadable, from: run.range).map { KeptRun($0, run.pass) }
      }
    }
    absent += metadata.note.leftOut + unreadable.map { AbsentRange($0, .unreadable) }
    absent.sort { $0.range.start < $1.range.start }
  }
}
