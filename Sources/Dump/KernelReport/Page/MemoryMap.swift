internal import DumpBasics

/// What the machine's memory was used for, by address, in as many columns as a picture has room for.
///
/// Columns are equal shares of the memory that there is: what lies between has no place in the picture.
/// Bounded: it grows with the columns, whatever the machine has.
public struct MemoryMap: Sendable {
  /// Columns of the picture.
  public static let columns = 256
  /// Pages by which memory that there is is told from none: small gaps don't show.
  private static let grain: UInt64 = 256
  /// No machine has more page frames: sums of them don't overflow.
  private static let frameLimit: UInt64 = 1 << 52
  /// Parts of memory, with gaps between them, that are told apart.
  private static let partLimit = 1024

  /// Names of the classes, in the order in which they are drawn.
  let classes: [String]
  let pageBytes: UInt64
  /// Page frames of the memory that there is: ascending, disjoint.
  private(set) var parts: [Range<UInt64>] = []
  /// Pages in each column, and in all.
  private(set) var pagesPerColumn: UInt64 = 1
  /// Pages by column and class.
  private(set) var counts: [[UInt64]] = []

  /// `memory`: page frames that there are, in any order.
  public init(classes: [String], pageBytes: UInt64, memory: some Sequence<Range<UInt64>>) {
    self.classes = classes
    self.pageBytes = pageBytes
    var coarse: [Range<UInt64>] = []
    for range in memory where !range.isEmpty && range.lowerBound < MemoryMap.frameLimit {
      let start = range.lowerBound / MemoryMap.grain * MemoryMap.grain
      let end = (min(range.upperBound, MemoryMap.frameLimit) + MemoryMap.grain - 1) / MemoryMap.grain * MemoryMap.grain
      // Neighbours come one after the other: this keeps the list short before it is sorted.
      if let last = coarse.last, start >= last.lowerBound, start <= last.upperBound {
        coarse[coarse.count - 1] = last.lowerBound..<max(last.upperBound, end)
      } else if end > start {
        coarse.append(start..<end)
      }
    }
    for range in coarse.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = parts.last, range.lowerBound <= last.upperBound || parts.count == MemoryMap.partLimit {
        parts[parts.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        parts.append(range)
      }
    }
    let total = parts.reduce(0) { $0 + ($1.upperBound - $1.lowerBound) }
    pagesPerColumn = max(1, total / UInt64(MemoryMap.columns) + (total % UInt64(MemoryMap.columns) == 0 ? 0 : 1))
    counts = [[UInt64]](repeating: [UInt64](repeating: 0, count: classes.count), count: MemoryMap.columns)
  }

  /// Pages of one class; what is not in the memory that there is does not count.
  public mutating func add(_ range: Range<UInt64>, _ number: Int) {
    guard classes.indices.contains(number) else { return }
    var before: UInt64 = 0
    for part in parts {
      let start = max(range.lowerBound, part.lowerBound)
      let end = min(range.upperBound, part.upperBound)
      if start < end {
        var place = before + (start - part.lowerBound)
        var left = end - start
        while left > 0 {
          let column = min(place / pagesPerColumn, UInt64(MemoryMap.columns - 1))
          let inColumn = column == UInt64(MemoryMap.columns - 1) ? left : min(left, (column + 1) * pagesPerColumn - place)
          counts[Int(column)][number] += inColumn
          place += inColumn
          left -= inColumn
        }
      }
      before += part.upperBound - part.lowerBound
    }
  }

  /// Pages of each class.
  var totals: [UInt64] { classes.indices.map { number in counts.reduce(0) { $0 + $1[number] } } }

  /// The first address of a column.
  func address(ofColumn column: Int) -> UInt64 {
    var place = UInt64(column) * pagesPerColumn
    for part in parts {
      let count = part.upperBound - part.lowerBound
      if place < count { return (part.lowerBound + place).multipliedReportingOverflow(by: pageBytes).partialValue }
      place -= count
    }
    return (parts.last?.upperBound ?? 0).multipliedReportingOverflow(by: pageBytes).partialValue
  }

  /// Where there is a gap: in columns from the left, with fractions left out.
  var gaps: [Int] {
    var gaps: [Int] = []
    var place: UInt64 = 0
    for part in parts.dropLast() {
      place += part.upperBound - part.lowerBound
      gaps.append(Int(clamping: place / pagesPerColumn))
    }
    return gaps
  }
}
