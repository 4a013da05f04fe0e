internal import CoreEncoding
public import DumpBasics

extension DumpSource {
  /// What of a dump of ours stands in it once, at the place of other memory; by address, disjoint. The note
  /// is believed as far as the program headers say the same, and what could not be read is not in it.
  public func sharedMemory() -> [SharedRange] {
    guard let metadata, !metadata.note.shared.isEmpty else { return [] }
    let places = PlacedMemory(coverage())
    let unreadable = RangeSet.joined(metadata.trailer?.unreadable ?? [])
    let size = metadata.note.pageSize.bytes
    var end: UInt64 = 0
    return metadata.note.shared.filter { run in
      guard run.range.start >= end, [run.range.start, run.range.end, run.original.rawValue].allSatisfy({ $0 % size == 0 }),
        let original = run.originalRange, let offset = places.fileOffset(of: run.range),
        offset == places.fileOffset(of: original), RangeSet.overlapping(unreadable, run.range).isEmpty,
        RangeSet.overlapping(unreadable, original).isEmpty
      else { return false }
      end = run.range.end
      return true
    }
  }
}

/// Memory that is in a file, in stretches that are one piece in memory and in the file.
private struct PlacedMemory {
  /// By address, disjoint.
  private var stretches: [(range: PhysicalRange, offset: UInt64)] = []

  init(_ coverage: [Coverage]) {
    for piece in coverage {
      guard case .data(let offset) = piece.kind else { continue }
      // Every sum of a file offset and a size was checked when the file was opened.
      if let last = stretches.last, last.range.end == piece.range.start, last.offset + last.range.count == offset {
        stretches[stretches.count - 1].range.end = piece.range.end
      } else {
        stretches.append((piece.range, offset))
      }
    }
  }

  /// Where all of `range` stands in one piece; nil where it does not.
  func fileOffset(of range: PhysicalRange) -> UInt64? {
    let index = stretches.partitionPoint { $0.range.end <= range.start }
    guard index < stretches.count, stretches[index].range.intersection(range) == range else { return nil }
    return stretches[index].offset + (range.start - stretches[index].range.start)
  }
}
