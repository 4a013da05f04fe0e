internal import DumpBasics
internal import DumpSource
internal import PageClasses

/// All memory of a source in ascending order, with what becomes of it by level, class and pass. Made anew
/// each time it is gone through: only the classes are stored, packed.
struct Stretches {
  private let level: Level
  private let coverage: [PhysicalRange]
  private let classes: PageClassification?
  private let core: KernelCore?
  private let pageSize: PageSize
  /// The pages of pass 1, joined.
  private let first: [PhysicalRange]

  init(
    _ level: Level, _ source: any DumpSource, _ witnesses: [PageFrame], _ classes: PageClassification?, _ core: KernelCore?,
    _ pageSize: PageSize
  ) {
    self.level = level
    self.classes = classes
    self.core = core
    self.pageSize = pageSize
    coverage = source.coverage().filter { $0.kind != .cut }.map(\.range)
    first = RangeSet.joined(
      witnesses.compactMap { PhysicalRange(start: pageSize.address(of: $0).rawValue, count: pageSize.bytes) })
  }

  func forEach(_ body: (Stretch) -> Void) {
    var cursor = ClassCursor(classes, pageSize)
    for piece in coverage {
      cursor.forEach(in: piece) { range, pageClass in
        if !level.keeps(pageClass) {
          split(range, .leftOut(level.needsClasses ? UInt32(pageClass.rawValue) : 0), body)
        } else if pageClass == .kernel, let core {
          core.forEach(in: range, pageSize) { range, part in
            split(range, .kept(part.map { .init(pass: .kernelCore, rank: UInt32($0.rawValue)) } ?? .init(pass: .kernel)), body)
          }
        } else {
          split(range, .kept(.init(pass: pageClass.pass)), body)
        }
      }
    }
  }

  /// The pages of pass 1 in `range` are kept whatever becomes of the rest.
  private func split(_ range: PhysicalRange, _ fate: Stretch.Fate, _ body: (Stretch) -> Void) {
    var position = range.start
    for witness in RangeSet.overlapping(first, range) {
      guard let witness = witness.intersection(range) else { continue }
      if let before = PhysicalRange(position, witness.start) { body(Stretch(range: before, fate: fate)) }
      body(Stretch(range: witness, fate: .kept(.init(pass: .witness))))
      position = witness.end
    }
    if let rest = PhysicalRange(position, range.end) { body(Stretch(range: rest, fate: fate)) }
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
