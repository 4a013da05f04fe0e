internal import DumpBasics

/// Findings for the report, each with the pages that it is about: the first so many in full. Those after them
/// are counted by place: so many ranges of pages, each with the number of findings in it. Nearest ranges
/// become one when there are more.
///
/// A finding decides about no page: what is kept is decided where its check fails.
struct Findings: Sendable {
  /// Lines that are kept in full; and ranges for the rest.
  static let limit = 64
  /// For a finding that is about no page.
  static let noFrames: Range<UInt64> = 0..<0
  /// For one that is about every page.
  static let allFrames = 0..<UInt64.max
  private var all: [DumpError] = []
  private var places: [Range<UInt64>] = []
  /// Findings that were not kept, by place: ascending, neither overlapping nor touching one another, at most
  /// `limit`.
  private var rest: [Rest] = []
  /// And those that are about no page.
  private var restElsewhere: UInt64 = 0

  private struct Rest {
    var frames: Range<UInt64>
    var count: UInt64

    mutating func absorb(_ other: Rest) {
      frames = min(frames.lowerBound, other.frames.lowerBound)..<max(frames.upperBound, other.frames.upperBound)
      count += other.count
    }
  }

  /// `frames`: the page frames whose class is in doubt by it, or was.
  mutating func add(_ finding: DumpError, _ frames: Range<UInt64>) {
    if all.count < Findings.limit {
      all.append(finding)
      places.append(frames)
    } else {
      drop(Rest(frames: frames, count: 1))
    }
  }

  mutating func add(_ other: Findings) {
    for (finding, frames) in zip(other.all, other.places) { add(finding, frames) }
    for dropped in other.rest { drop(dropped) }
    restElsewhere += other.restElsewhere
  }

  private mutating func drop(_ dropped: Rest) {
    if dropped.frames.isEmpty {
      restElsewhere += dropped.count
      return
    }
    var whole = dropped
    let first = rest.partitionPoint { $0.frames.upperBound < dropped.frames.lowerBound }
    while first < rest.count, rest[first].frames.lowerBound <= dropped.frames.upperBound { whole.absorb(rest.remove(at: first)) }
    rest.insert(whole, at: first)
    if rest.count > Findings.limit { joinNearest() }
  }

  /// The first two of those that are nearest to one another become one.
  private mutating func joinNearest() {
    var (nearest, least) = (1, UInt64.max)
    for index in 1..<rest.count {
      let gap = rest[index].frames.lowerBound - rest[index - 1].frames.upperBound
      if gap < least { (nearest, least) = (index, gap) }
    }
    rest[nearest - 1].absorb(rest.remove(at: nearest))
  }

  /// With a line for each place of what did not fit.
  var reported: [DumpError] {
    func more(_ count: UInt64, _ place: String) -> DumpError {
      DumpError("more findings of the same kinds: \(count)", at: "page classes\(place)")
    }
    let lines = all + rest.map { more($0.count, ", pfn \(hex($0.frames.lowerBound))-\(hex($0.frames.upperBound - 1))") }
    return restElsewhere == 0 ? lines : lines + [more(restElsewhere, "")]
  }

  /// The pages of each line of `reported`.
  var frames: [Range<UInt64>] {
    let pages = places + rest.map(\.frames)
    return restElsewhere == 0 ? pages : pages + [Findings.noFrames]
  }
}
