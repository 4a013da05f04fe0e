public import DumpBasics

/// Memory that has no place of its own in the file, at the places where its content stands: these overlap.
public struct SharedPieces: Sendable {
  /// By file offset.
  public let pieces: [DumpPlan.Piece]
  /// The furthest end of the pieces up to each: ascending, unlike the ends themselves.
  private let reach: [UInt64]

  init(_ pieces: some Sequence<DumpPlan.Piece>) {
    let pieces = pieces.sorted { ($0.fileOffset, $0.memory.start) < ($1.fileOffset, $1.memory.start) }
    var reach: [UInt64] = []
    for piece in pieces { reach.append(max(reach.last ?? 0, piece.fileEnd)) }
    self.pieces = pieces
    self.reach = reach
  }

  /// The memory that has its place in `places` of the file, which ascend and are disjoint: of each piece at
  /// most 64 ranges, the last of which reaches to the end of all the others, since a damaged dump can have
  /// very many of both.
  public func memory(at places: [Range<UInt64>]) -> [PhysicalRange] {
    pieces.flatMap { piece in
      let first = places.partitionPoint { $0.upperBound <= piece.fileOffset }
      let end = places.partitionPoint { $0.lowerBound < piece.fileEnd }
      var found = places[first..<max(first, end)].prefix(64)
      if let last = found.last, first + found.count < end {
        found[found.endIndex - 1] = last.lowerBound..<places[end - 1].upperBound
      }
      return found.compactMap { place in
        PhysicalRange(
          piece.memory.start + (max(place.lowerBound, piece.fileOffset) - piece.fileOffset),
          piece.memory.start + (min(place.upperBound, piece.fileEnd) - piece.fileOffset))
      }
    }
  }

  /// What shares a byte with `start ..< end` of the file, cut to that.
  public func overlapping(_ start: UInt64, _ end: UInt64) -> [DumpPlan.Piece] {
    var found: [DumpPlan.Piece] = []
    var index = reach.partitionPoint { $0 <= start }
    while index < pieces.count, pieces[index].fileOffset < end {
      let piece = pieces[index]
      let from = max(piece.fileOffset, start)
      let first = piece.memory.start + (from - piece.fileOffset)
      if let memory = PhysicalRange(first, piece.memory.start + (min(piece.fileEnd, end) - piece.fileOffset)) {
        found.append(DumpPlan.Piece(fileOffset: from, memory: memory))
      }
      index += 1
    }
    return found
  }
}
