internal import CoreEncoding
public import DumpBasics
internal import DumpSource
public import DumpTarget
internal import LinuxSystem
public import SoftBoot

/// What the second stage goes by: the normal kernel, in its initramfs or after the boot.
public struct SecondStageRequest: Sendable {
  /// Where the region may lie.
  public var windows: [PhysicalRange]
  public var expectation: RegionExpectation
  /// TARGET words, tried in order.
  public var targets: [String]
  /// A region that was begun to be saved so often, and never to an end, is left alone: something about it
  /// ends the boot. 0: no limit.
  public var attemptLimit: UInt32 = 3
  /// Where the result of a rehearsal goes.
  public var rehearsal = RehearsalRecord.standardPath
  public var transfer = TransferOptions()
  /// For checking a dump that was put together without a head; 0 is one for each CPU.
  public var threads = 0
  /// Nil where nobody is there to ask.
  public var witness: (any KernelWitness)?

  public init(windows: [PhysicalRange], expectation: RegionExpectation, targets: [String]) {
    self.windows = windows
    self.expectation = expectation
    self.targets = targets
  }

  fileprivate func mayTry(_ attempts: UInt32) -> Bool { attemptLimit == 0 || attempts < attemptLimit }
}

/// Finds the region, checks it, and saves the dump like any other; then marks it saved and wipes it. Nil when
/// there is nothing to save any more. Throws when there is no region, when it is refused, when it was tried
/// too often, and when no target took the dump: then it stays as it is.
public func saveRegion(
  _ memory: any RegionMemory, _ request: SecondStageRequest, _ reporter: any Reporter
) throws(DumpError) -> SaveResult? {
  let region = try findRegion(memory, in: request.windows, expecting: request.expectation)
  guard region.isUnsaved else { return nil }
  if region.isRehearsal {
    try endRehearsal(region, request.rehearsal, reporter)
    return nil
  }
  if region.evidence == .head {
    guard request.mayTry(region.head.attempts) else {
      throw DumpError(
        "saving the dump in memory was begun \(region.head.attempts) times and never ended: it is left alone",
        at: "\(memory.name), \(region.head.extents.text)", advice: "mcore-capture source=memory: attempts=0 tries it all the same"
      )
    }
    _ = try region.countAttempt()
  }
  let stage = SecondStage(region, request, reporter)
  var last = DumpError(.usage, "no target given", advice: "name a directory, or a device with a path")
  var failed = FailedCopies()
  for (index, target) in request.targets.enumerated() {
    failed.begin()
    do throws(DumpError) {
      let result = try stage.save(to: target, &failed)
      stage.end()
      return result
    } catch {
      last = error
      let more = index + 1 < request.targets.count
      reporter.warning(failed.failed(target, error) + (more ? "; trying the next" : ""))
    }
  }
  // Somebody may mend the targets.
  if region.evidence == .head { try? region.takeBackAttempt() }
  throw last
}

private struct SecondStage {
  private let region: Region
  private let request: SecondStageRequest
  private let reporter: any Reporter

  init(_ region: Region, _ request: SecondStageRequest, _ reporter: any Reporter) {
    self.region = region
    self.request = request
    self.reporter = reporter
  }

  func save(to target: String, _ failed: inout FailedCopies) throws(DumpError) -> SaveResult {
    let identity = region.head.identity
    let name = dumpName(crashTime: identity.crashTime, release: identity.release)
    let reporter = reporter
    let destination = try openTargets([try TargetSpec(target)], NamedDump(name, request.transfer)) { reporter.message($0) }
    do throws(DumpError) {
      return try save(to: destination, &failed)
    } catch {
      let stays = destination.abandon(note: "mcore did not finish this dump: \(error)\nIt is still in memory.\n")
      throw DumpError(error.kind, error.what, at: error.place, advice: "what was written stays in \(stays)")
    }
  }

  private func save(to destination: any Destination, _ failed: inout FailedCopies) throws(DumpError) -> SaveResult {
    let sink = try destination.openDump(fileName: fileName)
    reporter.message("writing \(sink.name)")
    var digest = Digest()
    var written: UInt64 = 0
    let zeros = [UInt8](repeating: 0, count: 1 << 16)
    let outcome = try unsafe region.copy(
      write: { bytes throws(DumpError) in
        unsafe try sink.write(bytes)
        unsafe digest?.update(bytes)
        written += UInt64(bytes.count)
        failed.bytes = written
        Activity.step()
        reporter.progress(done: written, total: region.length)
      },
      skip: { count throws(DumpError) in
        try sink.skip(count)
        unsafe zeros.withUnsafeBytes { unsafe digest?.update(UnsafeRawBufferPointer(rebasing: $0[..<Int(count)])) }
        written += count
      })
    try sink.finish()
    var findings = damage(outcome)
    let isWhole = outcome.isWhole || isWholeByItself(outcome, destination.dumpPath)
    if isWhole, !outcome.isWhole { findings.append("the dump's own checksums show that it is whole") }
    let copy = CopiedDump(
      fileName: fileName, bytes: written, sha256: digest?.finish(), isWhole: isWhole, failed: failed.attempts,
      witness: request.witness)
    let status = copy.writeSideFiles(to: destination, travelled: travelled(outcome), &findings)
    if isWhole {
      return SaveResult(status: status, path: try destination.complete(), bytesWritten: written, findings: findings)
    }
    let stays = destination.abandon(
      note: "This dump waited in memory, and not all of it came through.\n" + findings.joined(separator: "\n")
        + "\nWhat is there can be read: mcore info, mcore dmesg.\n")
    return SaveResult(status: .cut, path: stays, bytesWritten: written, findings: findings)
  }

  /// What can be had is on the disk. What is left to do must not fail the boot.
  func end() {
    guard region.evidence == .head else {
      reporter.warning("the region in memory has no head to mark: it is given up with the next boot")
      return
    }
    // Memory that did not appear this time may do so the next.
    guard region.isAllThere || !request.mayTry(region.head.attempts) else {
      reporter.warning("a part of the region is not there: what is there stays for another attempt")
      return
    }
    do throws(DumpError) {
      try region.markSaved()
      try region.wipe()
    } catch { reporter.warning("the region could not be wiped: \(error)") }
  }

  private var fileName: String { CopiedDump.fileName(region.head.identity.fileName) }

  private func damage(_ outcome: Region.Outcome) -> [String] {
    var lines = outcome.damaged.prefix(8).map {
      "bytes \($0.lowerBound) to \($0.upperBound - 1) of the dump file are damaged or missing: zeros stand there"
    }
    if outcome.damaged.count > 8 { lines.append("and \(outcome.damaged.count - 8) more such stretches") }
    if region.head.isCut { lines.append("the dump did not fit into memory: its most important part is here") }
    if !outcome.isWhole, outcome.damaged.isEmpty, !region.head.isCut {
      lines.append("nothing shows that the dump was written to its end")
    }
    return region.findings + lines
  }

  /// Without a head nothing says that the dump is complete, but the dump itself may.
  private func isWholeByItself(_ outcome: Region.Outcome, _ path: String?) -> Bool {
    guard region.evidence != .head, outcome.damaged.isEmpty, let path,
      let result = try? verify(path, threads: request.threads, reporter)
    else { return false }
    return result.verdict == .whole
  }

  private func travelled(_ outcome: Region.Outcome) -> JSON {
    let evidence =
      switch region.evidence {
      case .head: "head"
      case .tables: "tables"
      case .blocks: "blocks"
      }
    return .object([
      ("by", .string("memory")), ("evidence", .string(evidence)), ("attempts", .unsigned(UInt64(region.head.attempts))),
      ("boot_id", .string(region.head.identity.bootID.description)),
      (
        "damaged",
        .array(outcome.damaged.map { .object([("start", .unsigned($0.lowerBound)), ("end", .unsigned($0.upperBound))]) })
      ),
    ])
  }
}
