internal import Synchronization

/// That the work goes forward: counts pieces of memory read and pieces of a dump written. Whoever has to know
/// whether the program is stuck (a watchdog's feeder) looks whether the count has changed.
public enum Activity {
  private static let steps = Atomic<UInt64>(0)

  /// One more piece was read or written.
  public static func step() { steps.wrappingAdd(1, ordering: .relaxed) }

  public static var count: UInt64 { steps.load(ordering: .relaxed) }
}
