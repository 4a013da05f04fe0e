internal import CoreEncoding
internal import DumpBasics
internal import DumpSource

/// The order of a dump of ours that is written anew: each piece of memory stays in its pass, and in its place
/// there.
struct EarlierPasses {
  private let ends: [UInt64]
  /// File offsets from which on the next rank begins, ascending. Within a rank memory ascends, and pieces
  /// that touch are one: where a piece of the file goes back or touches the one before it, there was a
  /// border.
  private var borders: [UInt64] = []

  /// `shared` has no place of its own: where its content stands says nothing of the order.
  init(_ note: MCoreNote, _ coverage: [Coverage], _ segments: [MemorySegment], shared: [PhysicalRange] = []) {
    ends = note.passEnds
    let hole = PhysicalRange(start: note.holeOffset, count: note.holeSize)
    let pieces = coverage.compactMap { piece -> (offset: UInt64, range: PhysicalRange)? in
      guard case .data(let offset) = piece.kind, !(hole?.contains(offset) ?? false),
        RangeSet.overlapping(shared, piece.range).isEmpty
      else { return nil }
      return (offset, piece.range)
    }.sorted { $0.offset < $1.offset }
    // Coverage is also cut where one of two mappings of the same memory ends: there no segment begins.
    let starts = Set(segments.lazy.filter { RangeSet.overlapping(shared, $0.physical).isEmpty }.map(\.fileOffset))
    for (before, piece) in zip(pieces, pieces.dropFirst())
    where piece.range.start < before.range.end || piece.range.start == before.range.end && starts.contains(piece.offset) {
      borders.append(piece.offset)
    }
  }

  func run(_ piece: Coverage) -> KeptRun {
    // Between pass 2 and pass 3 lies the hole, whose zeros are of no pass.
    guard case .data(let offset) = piece.kind, let index = ends.firstIndex(where: { offset < $0 }),
      let pass = Pass(rawValue: UInt8(truncatingIfNeeded: index + 1))
    else { return KeptRun(piece.range, .kernel) }
    return KeptRun(piece.range, pass, rank: UInt32(clamping: borders.partitionPoint { $0 <= offset }))
  }
}
