public import DumpBasics
package import DumpSource

/// Saves one dump. Tries the targets in order; throws when none of them took anything that is of use.
public func save(_ request: SaveRequest, _ reporter: any Reporter) throws(DumpError) -> SaveResult {
  try save(request, from: try openDump(request.source), reporter)
}

/// The same from a source that is open already; `request.source` is not looked at.
package func save(
  _ request: SaveRequest, from source: any DumpSource, _ reporter: any Reporter
) throws(DumpError) -> SaveResult {
  let capture = try PreparedCapture(request, source, reporter)
  var attempts: [Attempt.Outcome] = []
  for (index, target) in request.targets.enumerated() {
    let outcome = Attempt(capture, target).run()
    attempts.append(outcome)
    guard let reason = outcome.reason else { break }
    // A limit holds for every target: no other one would get further.
    if outcome.endedByLimit { break }
    if index + 1 < request.targets.count {
      reporter.warning("target \(target) failed: \(reason); trying the next")
    }
  }
  return try settled(attempts, capture)
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
