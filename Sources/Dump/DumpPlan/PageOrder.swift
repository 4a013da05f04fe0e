internal import DumpBasics
internal import PageSelection

/// Whole pages of kept memory, numbered from 0 on in the order of the file.
struct PageOrder: Sendable {
  /// A stretch without gaps, in memory and in numbers.
  struct Stretch: Sendable {
    var first: Int
    var count: Int
    var start: UInt64
    var numbers: Range<Int> { first..<first + count }
  }

  let pageSize: PageSize
  let stretches: [Stretch]
  let count: Int

  /// `kept` without `zeros` (sorted, disjoint). Ends with page `limit`; stretches that are too short to share
  /// anything are left out.
  init(_ kept: [KeptRun], zeros: [PhysicalRange], _ pageSize: PageSize, limit: UInt64) {
    var stretches: [Stretch] = []
    var count = 0
    let order = kept.indices.sorted {
      (kept[$0].pass, kept[$0].rank, kept[$0].range.start) < (kept[$1].pass, kept[$1].rank, kept[$1].range.start)
    }
    for index in order where UInt64(count) < limit {
      for range in RangeSet.subtracting(zeros, from: kept[index].range) {
        guard let start = pageSize.ceil(range.start), let pages = PhysicalRange(start, pageSize.floor(range.end)),
          pages.count >= SharedScan.shortestRun, UInt64(count) < limit
        else { continue }
        let taken = Int(min(pages.count >> pageSize.shift, limit - UInt64(count)))
        stretches.append(Stretch(first: count, count: taken, start: start))
        count += taken
      }
    }
    self.pageSize = pageSize
    self.stretches = stretches
    self.count = count
  }

  /// The stretch that page `number` is in; there has to be such a page.
  func stretch(of number: Int) -> Stretch { stretches[stretches.partitionPoint { $0.numbers.upperBound <= number }] }

  func address(of number: Int) -> PhysicalAddress {
    let stretch = stretch(of: number)
    return PhysicalAddress(stretch.start + UInt64(number - stretch.first) << pageSize.shift)
  }

  /// All pages, in pieces of at most `size` that are neighbours in memory.
  func units(of size: Int) -> [Range<Int>] {
    stretches.flatMap { stretch in
      stride(from: stretch.first, to: stretch.numbers.upperBound, by: size).map {
        $0..<min($0 + size, stretch.numbers.upperBound)
      }
    }
  }
}
