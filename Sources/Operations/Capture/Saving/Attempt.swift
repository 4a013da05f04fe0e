internal import CoreEncoding
internal import DumpBasics
internal import DumpPlan
internal import DumpTarget
internal import LinuxSystem
internal import Pipeline

/// One attempt at one target: it is opened, gets the log, the dump and the manifest, and is closed.
struct Attempt {
  /// What came of it.
  struct Outcome {
    /// The TARGET word, without what is secret in it.
    var target: String
    /// The dump that is there: whole, or cut short and of use. Nil where nothing is.
    var result: SaveResult?
    /// Bytes of the dump file that this target took.
    var bytes: UInt64 = 0
    /// Nanoseconds that it took.
    var duration: UInt64 = 0
    /// Why the dump is not whole there; nil where it is.
    var reason: DumpError?
    /// Whether a limit of the request ended it, which holds for every other target too.
    var endedByLimit = false
    /// Where it was left because it had too little room: that room.
    var lackedRoom: UInt64?
    /// Targets that got the same dump at the same time, and failed.
    var dropped: [DroppedTarget] = []
  }

  /// How far writing got: whole groups alone.
  private struct Reached {
    /// Bytes of the uncompressed file.
    var content: UInt64 = 0
    /// Bytes of the dump file.
    var bytes: UInt64 = 0
    /// Memory whose place in the file has other content by now than it had itself.
    var changed: [PhysicalRange] = []
    /// The side files that are there.
    var files: [(String, JSON)] = []
    var metLimit = false
    var lackedRoom: UInt64?
    /// The ends of the last groups, for targets that did not get all that they took.
    private var borders: [(content: UInt64, bytes: UInt64)] = []
    private static let borderLimit = 256

    mutating func step(_ content: UInt64, _ bytes: UInt64) {
      self.content = content
      self.bytes = bytes
      if borders.count == 2 * Reached.borderLimit { borders.removeFirst(Reached.borderLimit) }
      borders.append((content, bytes))
    }

    /// Only so many bytes of the dump file are there.
    mutating func limit(to there: UInt64) {
      guard there < bytes else { return }
      (content, bytes) = borders.last { $0.bytes <= there } ?? (0, 0)
    }
  }

  private let capture: PreparedCapture
  private let target: String
  /// Those that fail before this one.
  private let earlier: [Outcome]
  /// Whether a target that surely is too small is left before the first byte.
  private let needsRoom: Bool
  private var reporter: any Reporter { capture.reporter }

  init(_ capture: PreparedCapture, _ target: String, after earlier: [Outcome] = [], needsRoom: Bool = false) {
    self.capture = capture
    self.target = target
    self.earlier = earlier
    self.needsRoom = needsRoom
  }

  /// Never throws: that a target failed is an outcome like others.
  func run() -> Outcome {
    // To turn to another target is to go forward.
    Activity.step()
    let start = System.monotonicNanoseconds
    var outcome = Outcome(target: shownTarget(target))
    var reached = Reached()
    do throws(DumpError) {
      let destination = try capture.open(target)
      do throws(DumpError) {
        outcome.result = try write(to: destination, &reached)
      } catch {
        outcome.bytes = reached.bytes
        let (told, cut) = end(destination, error, &reached)
        outcome.result = cut
        outcome.reason = told
        // Of several at once it is the last one that failed.
        if let last = (destination as? TargetGroup)?.shown { outcome.target = last }
      }
      outcome.dropped = (destination as? TargetGroup)?.dropped ?? []
    } catch { outcome.reason = error }
    if outcome.reason == nil { outcome.bytes = reached.bytes }
    outcome.endedByLimit = reached.metLimit
    outcome.lackedRoom = reached.lackedRoom
    outcome.duration = System.monotonicNanoseconds - start
    return outcome
  }

  private func write(to destination: any Destination, _ reached: inout Reached) throws(DumpError) -> SaveResult {
    // The log first: whatever happens after this, it is safe.
    try writeLog(to: destination, &reached)
    writeReport(to: destination, &reached)
    let plan = try capture.plan()
    if needsRoom { try requireRoom(destination, plan, &reached) }
    let sink = try destination.openDump(fileName: capture.request.format.fileName)
    reporter.message("writing \(sink.name)")
    let written = try writeDump(plan, to: sink, destination, &reached)
    reached.files.insert((capture.request.format.fileName, fileEntry(written.bytesWritten, written.sha256)), at: 0)
    let facts = capture.facts(plan, written)
    if destination.acceptsSideFiles { try writeManifest(facts, to: destination, reached) }
    let path = try destination.complete()
    return SaveResult(
      status: facts.status == .complete ? .complete : .findings, path: path, bytesWritten: written.bytesWritten,
      findings: lines(facts, written), whereabouts: destination.whereabouts)
  }

  /// Known before the first byte: that it will not fit. What is estimated may be wrong by a tenth.
  private func requireRoom(
    _ destination: any Destination, _ plan: DumpPlan, _ reached: inout Reached
  ) throws(DumpError) {
    guard let group = destination as? TargetGroup, let room = group.room, room < plan.trailerOffset else { return }
    let estimate = try capture.estimatedBytes()
    do throws(DumpError) {
      try group.requireRoom(for: estimate - estimate / 10)
    } catch {
      reached.lackedRoom = room
      throw error
    }
  }

  private func writeLog(to destination: any Destination, _ reached: inout Reached) throws(DumpError) {
    guard destination.acceptsSideFiles, let log = capture.log else { return }
    let bytes = Array(log.text.utf8)
    try destination.writeSideFile("dmesg.txt", bytes)
    reached.files.append(("dmesg.txt", fileEntry(UInt64(bytes.count), Digest.of(bytes))))
    reporter.message("kernel log saved (\(log.lines.count) lines)")
  }

  /// The report is not worth failing for.
  private func writeReport(to destination: any Destination, _ reached: inout Reached) {
    guard destination.acceptsSideFiles else { return }
    for file in capture.explanation?.files ?? [] {
      do throws(DumpError) {
        try destination.writeSideFile(file.name, file.bytes)
        reached.files.append((file.name, fileEntry(UInt64(file.bytes.count), Digest.of(file.bytes))))
      } catch { reporter.warning("\(file.name) was not written: \(error)") }
    }
  }

  private func writeDump(
    _ plan: DumpPlan, to sink: any DumpSink, _ destination: any Destination, _ reached: inout Reached
  ) throws(DumpError) -> Pipeline.Outcome {
    let (limits, reporter, request) = (capture.limits, reporter, capture.request)
    func limit(_ done: UInt64, _ bytes: UInt64) -> DumpError? {
      let error = limits.reached(bytes: bytes, isEarly: done < plan.note.passEnds[0])
      if error != nil { reached.metLimit = true }
      return error
    }
    #if Kdump
      if request.format.isPaged {
        return try writePages(
          plan, capture.source, capture.kernel, request.format, capture.work, to: sink, destination, limit: limit, reporter)
      }
    #endif
    let total = plan.trailerOffset
    // The digest stands in dump.json and nowhere else.
    let pipeline = Pipeline(
      plan, request.format, capture.work, speed: request.speed, isDigested: destination.acceptsSideFiles,
      inAnyOrder: request.inAnyOrder)
    return try pipeline.run(
      capture.source, to: sink, limit: limit,
      changed: { reached.changed += $0 },
      progress: { done, bytes in
        Activity.step()
        reached.step(done, bytes)
        reporter.progress(done: done, total: total)
      })
  }

  private func writeManifest(_ facts: DumpFacts, to destination: any Destination, _ reached: Reached) throws(DumpError) {
    guard case .object(var members) = facts.json(files: .object(reached.files)) else { return }
    let failed = attemptsJSON(earlier, (destination as? TargetGroup)?.dropped ?? [])
    if !failed.isEmpty { members.append(("attempts", .array(failed))) }
    try destination.writeSideFile("dump.json", Array((JSON.object(members).text() + "\n").utf8))
  }

  /// The way out of an error: what is there stays, and says how far it got. It is of use when it holds all of
  /// pass 1.
  private func end(
    _ destination: any Destination, _ error: DumpError, _ reached: inout Reached
  ) -> (told: DumpError, cut: SaveResult?) {
    if reached.bytes > 0, let there = destination.bytesThere() { reached.limit(to: there) }
    var facts = capture.planIfMade.flatMap { plan in
      reached.content >= plan.note.passEnds[0]
        ? capture.facts(plan, content: reached.content, bytes: reached.bytes, changed: reached.changed) : nil
    }
    #if Kdump
      if capture.request.format.isPaged, let there = factsOfCutPages(destination) {
        (facts, reached.bytes) = (there, there.fileBytes)
      }
    #endif
    // On a full disk there may be room for it again, since the file was cut. The dump itself says the same.
    if let facts { try? writeManifest(facts, to: destination, reached) }
    let progress = facts.map { "There is \($0.progressText).\n" } ?? ""
    let stays = destination.abandon(
      note: "mcore did not finish this dump: \(error)\n\(progress)"
        + "What is there is the most important part of it and can be read: mcore info, mcore dmesg.\n")
    // An empty file does not stay.
    let isGone = reached.bytes == 0 && !destination.acceptsSideFiles
    let told = DumpError(
      error.kind, error.what, at: error.place, advice: isGone ? error.advice : "what was written stays in \(stays)")
    guard let facts else { return (told, nil) }
    let cut = SaveResult(
      status: .cut, path: stays, bytesWritten: reached.bytes,
      findings: [told.description, "there is \(facts.progressText)"]
        + (facts.changed.isEmpty ? [] : [facts.changedText]),
      whereabouts: destination.whereabouts)
    return (told, cut)
  }

  private func lines(_ facts: DumpFacts, _ written: Pipeline.Outcome) -> [String] {
    var lines: [String] = []
    if !written.unreadable.isEmpty {
      lines.append(
        "\(facts.unreadablePages) pages could not be read, first \(written.unreadable[0])"
          + (written.firstReadError.map { ": \($0)" } ?? ""))
    }
    if !facts.changed.isEmpty {
      if facts.isLive { reporter.message(facts.changedText) } else { lines.append(facts.changedText) }
    }
    return lines
  }
}

func fileEntry(_ bytes: UInt64, _ sha256: String?) -> JSON {
  .object([("bytes", .unsigned(bytes)), ("sha256", .optional(sha256))])
}
