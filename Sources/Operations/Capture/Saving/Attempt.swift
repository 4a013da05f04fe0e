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
    /// The TARGET word.
    let target: String
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
  }

  private let capture: PreparedCapture
  private let target: String
  private var reporter: any Reporter { capture.reporter }

  init(_ capture: PreparedCapture, _ target: String) {
    self.capture = capture
    self.target = target
  }

  /// Never throws: that a target failed is an outcome like others.
  func run() -> Outcome {
    let start = System.monotonicNanoseconds
    var outcome = Outcome(target: target)
    var reached = Reached()
    do throws(DumpError) {
      let destination = try TargetSpec(target).open(capture)
      do throws(DumpError) {
        outcome.result = try write(to: destination, &reached)
      } catch {
        let (told, cut) = end(destination, error, reached)
        outcome.result = cut
        outcome.reason = told
      }
    } catch { outcome.reason = error }
    outcome.bytes = reached.bytes
    outcome.endedByLimit = reached.metLimit
    outcome.duration = System.monotonicNanoseconds - start
    return outcome
  }

  private func write(to destination: any Destination, _ reached: inout Reached) throws(DumpError) -> SaveResult {
    // The log first: whatever happens after this, it is safe.
    try writeLog(to: destination, &reached)
    let plan = try capture.plan()
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

  private func writeLog(to destination: any Destination, _ reached: inout Reached) throws(DumpError) {
    guard destination.acceptsSideFiles, let log = capture.log else { return }
    let bytes = Array(log.text.utf8)
    try destination.writeSideFile("dmesg.txt", bytes)
    reached.files.append(("dmesg.txt", fileEntry(UInt64(bytes.count), Digest.of(bytes))))
    reporter.message("kernel log saved (\(log.lines.count) lines)")
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
    return try Pipeline(plan, request.format, capture.work, isDigested: destination.acceptsSideFiles).run(
      capture.source, to: sink, limit: limit,
      changed: { reached.changed += $0 },
      progress: { done, bytes in
        Activity.step()
        reached.content = done
        reached.bytes = bytes
        reporter.progress(done: done, total: total)
      })
  }

  private func writeManifest(_ facts: DumpFacts, to destination: any Destination, _ reached: Reached) throws(DumpError) {
    let text = facts.json(files: .object(reached.files)).text() + "\n"
    try destination.writeSideFile("dump.json", Array(text.utf8))
  }

  /// The way out of an error: what is there stays, and says how far it got. It is of use when it holds all of
  /// pass 1.
  private func end(
    _ destination: any Destination, _ error: DumpError, _ reached: Reached
  ) -> (told: DumpError, cut: SaveResult?) {
    let facts = capture.planIfMade.flatMap { plan in
      reached.content >= plan.note.passEnds[0]
        ? capture.facts(plan, content: reached.content, bytes: reached.bytes, changed: reached.changed) : nil
    }
    // On a full disk there may be room for it again, since the file was cut. The dump itself says the same.
    if let facts { try? writeManifest(facts, to: destination, reached) }
    let progress = facts.map { "There is \($0.passes.map(\.text).joined(separator: ", ")).\n" } ?? ""
    let stays = destination.abandon(
      note: "mcore did not finish this dump: \(error)\n\(progress)"
        + "What is there is the most important part of it and can be read: mcore info, mcore dmesg.\n")
    let told = DumpError(error.kind, error.what, at: error.place, advice: "what was written stays in \(stays)")
    guard let facts else { return (told, nil) }
    let cut = SaveResult(
      status: .cut, path: stays, bytesWritten: reached.bytes,
      findings: [told.description, "there is \(facts.passes.map(\.text).joined(separator: ", "))"]
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
    if !facts.changed.isEmpty { lines.append(facts.changedText) }
    return lines
  }
}

func fileEntry(_ bytes: UInt64, _ sha256: String?) -> JSON {
  .object([("bytes", .unsigned(bytes)), ("sha256", .optional(sha256))])
}
