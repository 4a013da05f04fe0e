/// The order of need: what stands first in a dump survives a cut. docs/format.md, "Passes".
public enum Pass: UInt8, Sendable, CaseIterable, Comparable {
  /// Headers, notes, the log, the registers.
  case witness = 1
  /// Kernel text and data, page tables, `mem_section` and the page map, per-CPU areas, stacks.
  case kernelCore = 2
  /// The other kernel pages.
  case kernel = 3
  case user = 4
  case cache = 5
  case free = 6

  public var text: String {
    switch self {
    case .witness: "log and notes"
    case .kernelCore: "core of the kernel"
    case .kernel: "other kernel pages"
    case .user: "user"
    case .cache: "page cache"
    case .free: "free"
    }
  }

  public static func < (a: Pass, b: Pass) -> Bool { a.rawValue < b.rawValue }
}

/// Why memory of the source is not in the dump. The numbers stand in the MCORE note (docs/format.md).
public enum Absence: UInt32, Sendable, CaseIterable {
  /// The level leaves it out.
  case level = 1
  /// The source ended before it: a file that was cut.
  case sourceCut = 2
  /// The source says that it could not be read when the source was made.
  case unreadable = 3
  /// The dump itself ends before it. Never in a note: a reader finds it out.
  case cutOff = 4

  public var text: String {
    switch self {
    case .level: "left out by the level"
    case .sourceCut: "not in the source, which was cut off"
    case .unreadable: "unreadable when the source was made"
    case .cutOff: "cut off: the dump ends before them"
    }
  }
}

/// Memory that is not in the dump, and why.
public struct AbsentRange: Sendable, Equatable {
  public var range: PhysicalRange
  public var reason: Absence
  /// The class of its pages, as docs/format.md numbers them; 0 where none is known.
  public var pageClass: UInt32
  public init(_ range: PhysicalRange, _ reason: Absence, pageClass: UInt32 = 0) {
    self.range = range
    self.reason = reason
    self.pageClass = pageClass
  }
}

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
