internal import CoreEncoding
public import DumpBasics

extension DumpSource {
  /// What of a dump of ours stands in it once, at the place of other memory; by address, disjoint. The note is believed as far as
  /// the program headers say the same, and what could not be read is not in it.
  public func sharedMemory() -> [SharedRange] {
    guard let metadata, !metadata.note.shared.isEmpty else { return [] }
    let coverage = coverage()
    let unreadable = RangeSet.joined(metadata.trailer?.unreadable ?? [])
    var end: UInt64 = 0
    return metadata.note.shared.filter { run in
      guard run.range.start >= end, let original = run.originalRange,
        let offset = Coverage.place(of: run.range, in: coverage), offset == Coverage.place(of: original, in: coverage),
        RangeSet.overlapping(unreadable, run.range).isEmpty, RangeSet.overlapping(unreadable, original).isEmpty
      else { return false }
      end = run.range.end
      return true
    }
  }
}

extension Coverage {
  /// Where in the file all of `range` stands in one piece; nil where it does not. `coverage` is sorted and disjoint.
  fileprivate static func place(of range: PhysicalRange, in coverage: [Coverage]) -> UInt64? {
    var place: UInt64?
    var cursor = range.start
    var index = coverage.partitionPoint { $0.range.end <= range.start }
    while cursor < range.end {
      guard index < coverage.count, coverage[index].range.contains(cursor), case .data(let start) = coverage[index].kind else {
        return nil
      }
      let offset = start + (cursor - coverage[index].range.start)
      if let place, offset - min(place, offset) != cursor - range.start { return nil }
      place = place ?? offset
      cursor = min(range.end, coverage[index].range.end)
      index += 1
    }
    return place
  }
}
