internal import DumpBasics
internal import DumpSource
internal import PageClasses

/// All memory of a source in ascending order, with what becomes of it by level, class and pass. Made anew each time it is
/// gone through: only the classes are stored, packed.
struct Stretches {
  private let level: Level
  private let coverage: [PhysicalRange]
  private let classes: PageClassification?
  private let pageSize: PageSize
  /// The pages of pass 1, joined.
  private let first: [PhysicalRange]

  init(
    _ level: Level, _ source: any DumpSource, _ witnesses: [PageFrame], _ classes: PageClassification?, _ pageSize: PageSize
  ) {
    self.level = level
    self.classes = level.needsClasses ? classes : nil
    self.pageSize = pageSize
    coverage = source.coverage().filter { $0.kind != .cut }.map(\.range)
    first = RangeSet.joined(
      witnesses.compactMap { PhysicalRange(start: pageSize.address(of: $0).rawValue, count: pageSize.bytes) })
  }

  func forEach(_ body: (Stretch) -> Void) {
    var cursor = ClassCursor(classes, pageSize)
    for piece in coverage {
      cursor.forEach(in: piece) { range, pageClass in
        let fate: Stretch.Fate =
          level.keeps(pageClass) ? .kept(pageClass.pass) : .leftOut(level.needsClasses ? UInt32(pageClass.rawValue) : 0)
        var position = range.start
        for witness in RangeSet.overlapping(first, range) {
          guard let witness = witness.intersection(range) else { continue }
          if let before = PhysicalRange(position, witness.start) { body(Stretch(range: before, fate: fate)) }
          body(Stretch(range: witness, fate: .kept(.witness)))
          position = witness.end
        }
        if let rest = PhysicalRange(position, range.end) { body(Stretch(range: rest, fate: fate)) }
      }
    }
  }

  /// How many kept stretches there are after merging within `limits`.
  func count(_ limits: StretchMerger.Limits) -> Int {
    var count = 0
    func add(_ stretch: Stretch) { if case .kept = stretch.fate { count += 1 } }
    var merger = StretchMerger(limits)
    forEach { merger.add($0, add) }
    merger.finish(add)
    return count
  }
}
