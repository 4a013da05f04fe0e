public import DumpBasics
package import DumpSource
internal import LinuxSystem
internal import PageSelection

/// Saves one dump. Tries the targets in order; throws when none of them took anything that is of use.
public func save(_ request: SaveRequest, _ reporter: any Reporter) throws(DumpError) -> SaveResult {
  try save(request, from: try openDump(request.source), reporter)
}

/// The same from a source that is open already; `request.source` is not looked at.
package func save(
  _ request: SaveRequest, from source: any DumpSource, _ reporter: any Reporter
) throws(DumpError) -> SaveResult {
  let request = asFarAsThere(request, source, reporter)
  let capture = try PreparedCapture(request, source, reporter)
  var attempts: [Attempt.Outcome] = []
  /// True when there is nothing left to try.
  func isSettled(_ target: String, needsRoom: Bool, hasNext: Bool) -> Bool {
    let outcome = Attempt(capture, target, after: attempts, needsRoom: needsRoom).run()
    attempts.append(outcome)
    for dropped in outcome.dropped {
      reporter.warning(failureText(dropped.target, dropped.bytes, dropped.duration, dropped.reason) + "; the others go on")
    }
    guard let reason = outcome.reason else { return true }
    // A limit holds for every target, and so does the word of a person: no other one would get further.
    if outcome.endedByLimit || System.interruption != nil { return true }
    if hasNext {
      reporter.warning(failureText(outcome.target, outcome.bytes, outcome.duration, reason) + "; trying the next")
    }
    return false
  }
  defer {
    if System.takeUnsyncedDirectories() {
      reporter.message("a file system here does not sync directories: the name of the dump is on the disk when it says so")
    }
  }
  let count = request.targets.count
  for (index, target) in request.targets.enumerated() {
    if isSettled(target, needsRoom: count > 1, hasNext: index + 1 < count) { return try settled(attempts, capture) }
  }
  // None took the whole dump: then as much as there is room for is better than nothing, on the largest first.
  let crowded = zip(request.targets, attempts).compactMap { target, outcome in outcome.lackedRoom.map { (target, $0) } }
  for (target, _) in crowded.sorted(by: { $0.1 > $1.1 }) {
    reporter.message("target \(shownTarget(target)) once more, for as much as has room there")
    if isSettled(target, needsRoom: false, hasNext: false) || attempts.last?.result != nil { break }
  }
  return try settled(attempts, capture)
}

/// A dump of ours that was made at the level asked for, or a lower one, is taken as it is: its pages are
/// classified already, and what it says of them stays.
private func asFarAsThere(_ request: SaveRequest, _ source: any DumpSource, _ reporter: any Reporter) -> SaveRequest {
  guard let stated = Level.stated(by: source), request.level != .all else { return request }
  let left = request.level.within(stated)
  if left != request.level { reporter.message("the source has level \(stated.name): what that left out can't come back") }
  var request = request
  if source.statement != nil, left == stated { request.level = .all }
  return request
}

/// What came of all attempts together: the whole dump, else the largest that is of use, else an error.
private func settled(_ attempts: [Attempt.Outcome], _ capture: PreparedCapture) throws(DumpError) -> SaveResult {
  if let last = attempts.last, last.reason == nil, let result = last.result { return result }
  var best: SaveResult?
  for case let cut? in attempts.map(\.result) where cut.bytesWritten > best?.bytesWritten ?? 0 { best = cut }
  if let best { return best }
  if let disk = capture.request.lastResort {
    capture.writeLastResort(disk, attempts.compactMap { outcome in outcome.reason.map { "\(outcome.target): \($0)" } })
  }
  throw attempts.last?.reason
    ?? DumpError(.usage, "no target given", advice: "name a directory, a file, or a device with a path")
}
