/// How hard the codecs try: a step on a ladder from fast to small. Each codec has as many steps as it can
/// make something of; docs/measurements/speed.md has what each of them gives.
public struct Effort: Sendable, Equatable, Comparable {
  public static let fastest = Effort(0)
  public static let balanced = Effort(2)
  public static let smallest = Effort(5)
  /// 0 (`fastest`) to 5 (`smallest`).
  public let step: Int

  /// What is out of range is the next step that there is.
  public init(_ step: Int) { self.step = min(max(step, 0), 5) }

  public static func < (one: Effort, other: Effort) -> Bool { one.step < other.step }
}
