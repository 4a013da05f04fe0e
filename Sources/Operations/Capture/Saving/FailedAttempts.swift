internal import CoreEncoding
internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem

/// The member `attempts` of dump.json: the targets that did not take this dump.
func attemptsJSON(_ outcomes: [Attempt.Outcome], _ dropped: [DroppedTarget]) -> [JSON] {
  let earlier = outcomes.flatMap { outcome in
    outcome.dropped.map(attemptJSON)
      + (outcome.reason.map { [attemptJSON(outcome.target, outcome.bytes, outcome.duration, $0)] } ?? [])
  }
  return earlier + dropped.map(attemptJSON)
}

private func attemptJSON(_ dropped: DroppedTarget) -> JSON {
  attemptJSON(dropped.target, dropped.bytes, dropped.duration, dropped.reason)
}

func attemptJSON(_ target: String, _ bytes: UInt64, _ nanoseconds: UInt64, _ reason: DumpError) -> JSON {
  .object([
    ("target", .string(target)), ("bytes", .unsigned(bytes)), ("seconds", .unsigned(nanoseconds / 1_000_000_000)),
    ("reason", .string(DumpError(reason.kind, reason.what, at: reason.place).description)),
  ])
}

/// Targets that did not take a dump that is copied from where it waited.
struct FailedCopies {
  private(set) var attempts: [JSON] = []
  /// Bytes that the present one has taken, and since when it is tried.
  var bytes: UInt64 = 0
  private var start: UInt64 = 0

  mutating func begin() {
    Activity.step()
    bytes = 0
    start = System.monotonicNanoseconds
  }

  /// Returns what the console hears.
  mutating func failed(_ target: String, _ reason: DumpError) -> String {
    let duration = System.monotonicNanoseconds - start
    attempts.append(attemptJSON(shownTarget(target), bytes, duration, reason))
    return failureText(shownTarget(target), bytes, duration, reason)
  }
}

/// What the console hears of it.
func failureText(_ target: String, _ bytes: UInt64, _ nanoseconds: UInt64, _ reason: DumpError) -> String {
  "target \(target) failed after \(humanBytes(bytes)) and \(nanoseconds / 1_000_000_000) s: \(reason)"
}
