public import DumpBasics

/// A stretch of the crashed machine's memory and what the source has of it.
public struct Coverage: Sendable, Equatable {
  public enum Kind: Sendable, Equatable {
    /// Data, from this offset of the (decompressed) source on.
    case data(fileOffset: UInt64)
    /// Zeros without data (`p_filesz` < `p_memsz`).
    case zeros
    /// The headers promise it, the source is cut before it.
    case cut
  }
  public var range: PhysicalRange
  public var kind: Kind
}

extension DumpSource {
  public func coverage() -> [Coverage] { Coverage.of(segments, present: shortfall?.present ?? .max) }
}

extension Coverage {
  /// The coverage of `segments` in a file of which `present` bytes are there. What stands in `hole` is zeros:
  /// a dump of ours says so in its header, and that is known where the file ends before the hole.
  ///
  /// Where segments overlap, data wins over what is cut off, and that over zeros that only a header promises;
  /// of two with data the one that begins first.
  static func of(_ segments: [MemorySegment], present: UInt64, hole: Range<UInt64> = 0..<0) -> [Coverage] {
    var ranks: [[Coverage]] = [[], [], []]
    let order = segments.indices.sorted { (segments[$0].physical.start, $0) < (segments[$1].physical.start, $1) }
    for segment in order.lazy.map({ segments[$0] }) {
      // Every sum here was checked when the file was opened.
      let isKnown =
        segment.fileOffset >= hole.lowerBound && segment.fileOffset + segment.fileSize <= hole.upperBound
        && segment.fileOffset + segment.fileSize > present
      let data = segment.physical.start + (isKnown ? 0 : min(segment.fileSize, segment.physical.count))
      let readable = segment.fileOffset >= present ? 0 : min(segment.fileSize, present - segment.fileOffset)
      let cut = min(data, segment.physical.start + min(readable, segment.physical.count))
      let parts: [(UInt64, UInt64, Coverage.Kind)] = [
        (segment.physical.start, cut, .data(fileOffset: segment.fileOffset)), (cut, data, .cut),
        (data, segment.physical.end, .zeros),
      ]
      for (rank, (start, end, kind)) in parts.enumerated() {
        if let range = PhysicalRange(start, end) { ranks[rank].append(Coverage(range: range, kind: kind)) }
      }
    }
    return ranks.reduce(into: []) { $0 = merged($0, $1) }
  }

  /// `first`, sorted and disjoint, and what of `second`, sorted, is not in it nor in an earlier one of
  /// `second`.
  private static func merged(_ first: [Coverage], _ second: [Coverage]) -> [Coverage] {
    if second.isEmpty { return first }
    var result: [Coverage] = []
    result.reserveCapacity(first.count + second.count)
    var next = 0
    var cursor: UInt64 = 0
    for piece in second {
      cursor = max(cursor, piece.range.start)
      while next < first.count, first[next].range.start < piece.range.end {
        let stronger = first[next]
        if let gap = PhysicalRange(cursor, stronger.range.start) { result.append(piece.part(gap)) }
        if stronger.range.end > piece.range.end {
          // It may stand before the next one of `second` as well.
          cursor = max(cursor, piece.range.end)
          break
        }
        result.append(stronger)
        cursor = max(cursor, stronger.range.end)
        next += 1
      }
      let end = next < first.count ? min(piece.range.end, first[next].range.start) : piece.range.end
      if let rest = PhysicalRange(cursor, end) {
        result.append(piece.part(rest))
        cursor = rest.end
      }
    }
    return result + first[next...]
  }

  private func part(_ range: PhysicalRange) -> Coverage {
    if case .data(let offset) = kind {
      return Coverage(range: range, kind: .data(fileOffset: offset + (range.start - self.range.start)))
    }
    return Coverage(range: range, kind: kind)
  }
}
