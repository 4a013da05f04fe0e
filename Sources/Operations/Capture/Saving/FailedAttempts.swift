internal import CoreEncoding
internal import DumpBasics
internal import DumpTarget

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

/// What the console hears of it.
func failureText(_ target: String, _ bytes: UInt64, _ nanoseconds: UInt64, _ reason: DumpError) -> String {
  "target \(target) failed after \(humanBytes(bytes)) and \(nanoseconds / 1_000_000_000) s: \(reason)"
}
