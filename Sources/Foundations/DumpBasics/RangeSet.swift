/// Ranges of a dump, sorted and disjoint: the set operations that planning needs.
public enum RangeSet {
  /// Sorted, with touching and overlapping ranges joined.
  public static func joined(_ ranges: [PhysicalRange]) -> [PhysicalRange] {
    var result: [PhysicalRange] = []
    for range in ranges.sorted(by: { $0.start < $1.start }) {
      if let last = result.last, range.start <= last.end {
        result[result.count - 1].end = max(last.end, range.end)
      } else {
        result.append(range)
      }
    }
    return result
  }

  /// What of `range` is not in `holes`, which are sorted and disjoint.
  public static func subtracting(_ holes: [PhysicalRange], from range: PhysicalRange) -> [PhysicalRange] {
    var result: [PhysicalRange] = []
    var cursor = range.start
    for hole in overlapping(holes, range) {
      if let piece = PhysicalRange(cursor, min(hole.start, range.end)) { result.append(piece) }
      cursor = max(cursor, hole.end)
    }
    if let rest = PhysicalRange(cursor, range.end) { result.append(rest) }
    return result
  }

  /// Those of `ranges` (sorted, disjoint) that share a byte with `range`.
  public static func overlapping(_ ranges: [PhysicalRange], _ range: PhysicalRange) -> ArraySlice<PhysicalRange> {
    let first = ranges.partitionPoint { $0.end <= range.start }
    let last = ranges.partitionPoint { $0.start < range.end }
    return ranges[first..<max(first, last)]
  }

  /// What of `ranges` (sorted, disjoint) lies in `range`.
  public static func common(_ ranges: [PhysicalRange], _ range: PhysicalRange) -> [PhysicalRange] {
    overlapping(ranges, range).compactMap { $0.intersection(range) }
  }
}

extension RandomAccessCollection where Index == Int {
  /// The first index whose element does not satisfy `before`; those that do have to come first.
  public func partitionPoint(_ before: (Element) -> Bool) -> Int {
    var low = startIndex
    var high = endIndex
    while low < high {
      let middle = low + (high - low) / 2
      if before(self[middle]) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
