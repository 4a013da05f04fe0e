internal import DumpBasics

/// A set of page frames that grows: runs, sorted, joined where they touch. Kernel structures lie together, so
/// that reading gigabytes of page map stays a handful of runs.
struct TouchedPages: Sendable {
  private(set) var runs: [Range<UInt64>] = []

  /// Adds `frames`, which must not be empty.
  mutating func insert(_ frames: Range<UInt64>) {
    // Runs that overlap or touch `frames` become one with it.
    let first = runs.partitionPoint { $0.upperBound < frames.lowerBound }
    if first < runs.count, runs[first].lowerBound <= frames.lowerBound, runs[first].upperBound >= frames.upperBound {
      return
    }
    let last = runs.partitionPoint { $0.lowerBound <= frames.upperBound }
    var joined = frames
    for run in runs[first..<max(first, last)] {
      joined = min(joined.lowerBound, run.lowerBound)..<max(joined.upperBound, run.upperBound)
    }
    runs.replaceSubrange(first..<max(first, last), with: CollectionOfOne(joined))
  }

  /// Every frame, ascending.
  var frames: [PageFrame] { runs.flatMap { $0.map(PageFrame.init) } }
}
