internal import Synchronization

/// Counts progress: pieces of memory read and pieces of a dump written. A watchdog's feeder looks whether the
/// count grows; where it does not, the program is stuck.
public enum Activity {
  private static let steps = Atomic<UInt64>(0)

  /// One more piece was read or written.
  public static func step() { steps.wrappingAdd(1, ordering: .relaxed) }

  public static var count: UInt64 { steps.load(ordering: .relaxed) }
}
