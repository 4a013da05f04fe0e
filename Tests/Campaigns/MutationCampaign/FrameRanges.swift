/// Page frames as sorted, disjoint ranges.
enum FrameRanges {
  static func joined(_ ranges: [Range<UInt64>]) -> [Range<UInt64>] {
    var result: [Range<UInt64>] = []
    for range in ranges.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = result.last, range.lowerBound <= last.upperBound {
        result[result.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        result.append(range)
      }
    }
    return result
  }

  /// What of `ranges` is in none of `holes`.
  static func subtracting(_ holes: [Range<UInt64>], from ranges: [Range<UInt64>]) -> [Range<UInt64>] {
    let holes = joined(holes)
    var result: [Range<UInt64>] = []
    for range in ranges {
      var start = range.lowerBound
      for hole in holes where hole.upperBound > start && hole.lowerBound < range.upperBound {
        if hole.lowerBound > start { result.append(start..<hole.lowerBound) }
        start = hole.upperBound
      }
      if start < range.upperBound { result.append(start..<range.upperBound) }
    }
    return result
  }

  static func count(_ ranges: [Range<UInt64>]) -> UInt64 { ranges.reduce(0) { $0 + UInt64($1.count) } }
}
