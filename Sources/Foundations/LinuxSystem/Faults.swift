internal import Synchronization

/// Makes system calls fail on purpose: for tests, through `@testable import`. Off, it costs one relaxed
/// atomic load per call.
enum Faults {
  /// One planned failure.
  struct Fault: Sendable {
    var call: System.Call
    /// Calls of this kind that still succeed before it strikes.
    var after: Int
    /// The errno to fail with, or nil to shorten reads and writes to `shortTo` bytes.
    var errno: Int32?
    var shortTo = Int.max
    /// How many calls in a row it strikes.
    var times = 1
  }

  private static let armed = Atomic<Bool>(false)
  private static let plan = Mutex<[Fault]>([])

  /// Replaces the plan; an empty one turns injection off.
  static func set(_ faults: [Fault]) {
    plan.withLock { $0 = faults }
    armed.store(!faults.isEmpty, ordering: .releasing)
  }

  /// The errno that this call has to fail with now, if any.
  static func next(_ call: System.Call) -> Int32? {
    guard armed.load(ordering: .relaxed) else { return nil }
    return plan.withLock { plan in
      guard let index = plan.firstIndex(where: { $0.call == call && $0.errno != nil }) else { return nil }
      if plan[index].after > 0 {
        plan[index].after -= 1
        return nil
      }
      let errno = plan[index].errno
      plan[index].times -= 1
      if plan[index].times <= 0 { plan.remove(at: index) }
      return errno
    }
  }

  private static let badStretch = Mutex<(path: String, range: Range<UInt64>)?>(nil)

  /// Makes a stretch of one file unreadable, as a bad sector is: every read that touches it fails with EIO.
  /// An empty one turns it off.
  static func setUnreadable(path: String, _ range: Range<UInt64>) {
    badStretch.withLock { $0 = range.isEmpty ? nil : (path, range) }
    armed.store(!range.isEmpty, ordering: .releasing)
  }

  /// Whether reading `count` bytes at `offset` of a file has to fail.
  static func isUnreadable(_ path: String, _ offset: UInt64, _ count: Int) -> Bool {
    guard armed.load(ordering: .relaxed) else { return false }
    return badStretch.withLock { bad in
      guard let bad, bad.path == path else { return false }
      return offset < bad.range.upperBound && offset + UInt64(count) > bad.range.lowerBound
    }
  }

  /// The length this read or write may have at most.
  static func clip(_ call: System.Call, _ count: Int) -> Int {
    guard armed.load(ordering: .relaxed) else { return count }
    return plan.withLock { plan in
      guard let fault = plan.first(where: { $0.call == call && $0.errno == nil }) else { return count }
      return max(1, min(count, fault.shortTo))
    }
  }
}
