internal import CoreEncoding
internal import CoreFormat
internal import CrashedKernel
public import DumpBasics
internal import DumpPlan
package import DumpSource
internal import DumpTarget
internal import LinuxSystem
internal import PageClasses
internal import PageSelection
internal import Pipeline
internal import SoftBoot
internal import Workers

/// Takes what the work has to say while it goes on: to a terminal, a console or nowhere.
public protocol Reporter: AnyObject, Sendable {
  /// A line for the person or the log: what begins or what was found.
  func message(_ text: String)
  /// Something to worry about that did not stop the work.
  func warning(_ text: String)
  /// `done` of `total` bytes have gone through; called often, throttles itself.
  func progress(done: UInt64, total: UInt64)
}

/// Saves one dump. Tries the targets in order; throws when none of them took anything that is of use.
public func save(_ request: SaveRequest, _ reporter: any Reporter) throws(DumpError) -> SaveResult {
  try save(request, from: try openDump(request.source), reporter)
}

/// The same from a source that is open already; `request.source` is not looked at.
package func save(
  _ request: SaveRequest, from source: any DumpSource, _ reporter: any Reporter
) throws(DumpError) -> SaveResult {
  let capture = PreparedCapture(request, source, reporter)
  var last = DumpError(.usage, "no target given", advice: "name a directory, a file, or a device with a path")
  var failures: [String] = []
  for (index, target) in request.targets.enumerated() {
    do throws(DumpError) {
      return try capture.write(to: target)
    } catch {
      last = error
      failures.append("\(target): \(error)")
      // A limit holds for every target: no other one would get further.
      if capture.isLimitReached { break }
      let more = index + 1 < request.targets.count
      if more { reporter.warning("target \(target) failed: \(error); trying the next") }
    }
  }
  if let cut = capture.cut { return cut }
  if let disk = request.lastResort { capture.writeLastResort(disk, failures) }
  throw last
}

/// A source that was looked through and is ready to be written to one target after another.
private final class PreparedCapture {
  private let request: SaveRequest
  private let reporter: any Reporter
  private let source: any DumpSource
  private let kernel: CrashedKernel
  private let log: KernelLog?
  private let work: OrderedWork
  /// The same threads, for what makes the dump smaller and nothing else: it ends with the time limit.
  /// (Classes don't: without them everything would have to be written, and a region in memory would have no
  /// place.)
  private let planning: OrderedWork
  private var findings: [String] = []
  /// Made when the first target is open: it reads all of the memory, and the log goes out before that.
  private var plan: DumpPlan?
  /// The largest dump that could not be finished and still is of use: it holds all of pass 1.
  private(set) var cut: SaveResult?
  private let limits: RunningLimits
  private(set) var isLimitReached = false

  init(_ request: SaveRequest, _ source: any DumpSource, _ reporter: any Reporter) {
    self.request = request
    self.reporter = reporter
    let limits = RunningLimits(request.limits)
    self.limits = limits
    self.source = source
    kernel = CrashedKernel(source)
    work = OrderedWork(threads: request.threads > 0 ? request.threads : System.usableCPUs)
    planning = work.interrupted { limits.reached(bytes: 0, isEarly: false) }
    findings = allFindings(source, kernel)
    do throws(DumpError) {
      log = try kernel.log()
    } catch {
      log = nil
      // A dump of ours says so already: converting it must not say it once more.
      if source.statement == nil { findings.append(error.description) }
    }
    for finding in findings { reporter.warning(finding) }
    let reason = log?.panicMessage.map { ", \(printable($0))" } ?? ""
    reporter.message("crashed kernel \(printable(kernel.release ?? "unknown"))\(reason)")
  }

  func write(to target: String) throws(DumpError) -> SaveResult {
    let name = dumpName(crashTime: kernel.crashTime ?? System.secondsSince1970, release: kernel.release ?? "unknown")
    let destination = try open(try TargetSpec(target), name)
    var reached = Reached()
    do throws(DumpError) {
      return try write(to: destination, &reached)
    } catch {
      let facts = plan.flatMap { reached.content >= $0.note.passEnds[0] ? self.facts($0, cutAt: reached) : nil }
      if let facts {
        // On a full disk there may be room for it again, since the file was cut. The dump itself says the
        // same.
        try? destination.writeSideFile("dump.json", Array((facts.json(files: .object(reached.files)).text() + "\n").utf8))
      }
      let progress = facts.map { "There is \($0.passes.map(\.text).joined(separator: ", ")).\n" } ?? ""
      let stays = destination.abandon(
        note: "mcore did not finish this dump: \(error)\n\(progress)"
          + "What is there is the most important part of it and can be read: mcore info, mcore dmesg.\n")
      let told = DumpError(error.kind, error.what, at: error.place, advice: "what was written stays in \(stays)")
      if let facts, reached.bytes > cut?.bytesWritten ?? 0 {
        let region = destination as? MemoryDestination
        cut = SaveResult(
          status: .cut, path: stays, bytesWritten: reached.bytes,
          findings: [told.description, "there is \(facts.passes.map(\.text).joined(separator: ", "))"]
            + (facts.changed.isEmpty ? [] : [facts.changedText]),
          region: region?.extents, normal: region?.normal)
      }
      throw told
    }
  }

  /// The log and the registers, where nothing else could be kept.
  func writeLastResort(_ disk: String, _ failures: [String]) {
    do throws(DumpError) {
      let device = try LastResort(disk, forWriting: true)
      try device.write(LastResortText(kernel: kernel, log: log, failures: failures).bytes(capacity: device.capacity))
      reporter.message("last resort: log and registers are on \(disk); mcore last \(disk) prints them")
    } catch { reporter.warning("the last resort failed too: \(error)") }
  }

  private func open(_ target: TargetSpec, _ name: String) throws(DumpError) -> any Destination {
    guard target.isMemory else { return try target.open(dumpName: name) }
    return try openRegion(target.memoryWindows, request.region, kernel, try plannedDump(), request.trust)
  }

  /// How far writing to a target got: whole groups alone.
  private struct Reached {
    /// Bytes of the uncompressed file.
    var content: UInt64 = 0
    /// Bytes of the dump file.
    var bytes: UInt64 = 0
    /// Memory whose place in the file has other content by now than it had itself.
    var changed: [PhysicalRange] = []
    /// The side files that are there.
    var files: [(String, JSON)] = []
  }

  private func write(to destination: any Destination, _ reached: inout Reached) throws(DumpError) -> SaveResult {
    // The log first: whatever happens after this, it is safe.
    if destination.acceptsSideFiles, let log {
      let bytes = Array(log.text.utf8)
      try destination.writeSideFile("dmesg.txt", bytes)
      reached.files.append(("dmesg.txt", fileEntry(UInt64(bytes.count), Digest.of(bytes))))
      reporter.message("kernel log saved (\(log.lines.count) lines)")
    }

    let plan = try plannedDump()
    let sink = try destination.openDump(fileName: request.format.fileName)
    reporter.message("writing \(sink.name)")
    let outcome = try write(plan, to: sink, destination, &reached)
    var files = reached.files
    files.insert((request.format.fileName, fileEntry(outcome.bytesWritten, outcome.sha256)), at: 0)

    let facts = self.facts(plan, outcome)
    if destination.acceptsSideFiles {
      try destination.writeSideFile("dump.json", Array((facts.json(files: .object(files)).text() + "\n").utf8))
    }
    let path = try destination.complete()
    var lines: [String] = []
    if !outcome.unreadable.isEmpty {
      lines.append(
        "\(facts.unreadablePages) pages could not be read, first \(outcome.unreadable[0])"
          + (outcome.firstReadError.map { ": \($0)" } ?? ""))
    }
    if !facts.changed.isEmpty { lines.append(facts.changedText) }
    let region = destination as? MemoryDestination
    return SaveResult(
      status: facts.status == .complete ? .complete : .findings, path: path, bytesWritten: outcome.bytesWritten,
      findings: lines, region: region?.extents, normal: region?.normal)
  }

  private func write(
    _ plan: DumpPlan, to sink: any DumpSink, _ destination: any Destination, _ reached: inout Reached
  ) throws(DumpError) -> Pipeline.Outcome {
    let reporter = self.reporter
    func limit(_ done: UInt64, _ bytes: UInt64) -> DumpError? {
      let error = limits.reached(bytes: bytes, isEarly: done < plan.note.passEnds[0])
      if error != nil { isLimitReached = true }
      return error
    }
    #if Kdump
      if request.format.isPaged {
        return try writePages(plan, source, kernel, request.format, work, to: sink, destination, limit: limit, reporter)
      }
    #endif
    let total = plan.trailerOffset
    // The digest stands in dump.json and nowhere else.
    return try Pipeline(plan, request.format, work, isDigested: destination.acceptsSideFiles).run(
      source, to: sink, limit: limit,
      changed: { reached.changed += $0 },
      progress: { done, bytes in
        Activity.step()
        reached.content = done
        reached.bytes = bytes
        reporter.progress(done: done, total: total)
      })
  }

  private func plannedDump() throws(DumpError) -> DumpPlan {
    if let plan { return plan }
    let (selection, classes, checks) = selected()
    System.returnFreedMemory()
    let zeros = zeroRuns(selection)
    let shared = sharedMemory(selection, zeros)
    System.returnFreedMemory()
    let made = try DumpPlan(
      consume selection, source, zeros: zeros, shared: shared, tool: toolVersion,
      crashTime: UInt64(max(0, kernel.crashTime ?? 0)),
      findings: findings, classes: classes, checks: checks)
    plan = made
    return made
  }

  /// Where the format has page for page, each has its place, those of zeros too.
  private func zeroRuns(_ selection: PageSelection) -> ZeroScan {
    if request.format.isPaged { return ZeroScan() }
    if request.level == .all, let known = source.metadata.flatMap({ ZeroScan(source, $0.note) }) { return known }
    let total = selection.kept.reduce(0) { $0 + $1.range.count }
    reporter.message("looking for long runs of zeros in \(humanBytes(total))")
    let reporter = self.reporter
    return unlessLate(ZeroScan()) { () throws(DumpError) in
      try ZeroScan(selection.kept.lazy.map(\.range), source, kernel.pageSize, planning) {
        reporter.progress(done: $0, total: total)
      }
    }
  }

  /// Which memory stands in the dump once for several places. A dump of ours that is converted says so of
  /// itself: that is in the selection.
  private func sharedMemory(_ selection: PageSelection, _ zeros: ZeroScan) -> [SharedRange] {
    if request.format.isPaged { return [] }
    if request.level == .all, source.metadata != nil { return selection.shared }
    guard request.level.keepsMoreThanKernel else { return [] }
    reporter.message("looking for pages with the same content")
    let reporter = self.reporter
    let runs = unlessLate(SharedScan()) { () throws(DumpError) in
      try SharedScan(selection.kept, zeros: zeros, source, kernel.pageSize, planning) { reporter.progress(done: $0, total: $1) }
    }.runs
    let bytes = runs.reduce(0) { $0 + $1.range.count }
    if bytes > 0 { reporter.message("\(humanBytes(bytes)) of memory have the content of other memory: stored once") }
    return runs
  }

  /// What a step of planning gives; `instead`, which makes a larger dump, where the time limit ends it.
  private func unlessLate<Result>(_ instead: Result, _ step: () throws(DumpError) -> Result) -> Result {
    do throws(DumpError) {
      return try step()
    } catch {
      reporter.message("\(error): going on without")
      return instead
    }
  }

  /// What goes into the dump, and what the note says of that. The classes themselves end here: of a large
  /// machine they take more room than anything that comes after.
  private func selected() -> (PageSelection, [MCoreNote.ClassCount], [MCoreNote.CheckCount]) {
    let classes = request.level.needsClasses || isOrderedByClass ? classified() : nil
    var selection = PageSelection(
      request.level, source, witnesses: kernel.memory?.touchedPages ?? [], classes: classes, core: core(classes),
      pageSize: kernel.pageSize)
    if order == .address { selection.orderByAddress() }
    if selection.closedGaps > 0 {
      reporter.message(
        "memory is too fragmented for a program header each: \(selection.closedPages) pages in \(selection.closedGaps) "
          + "small gaps are kept")
    }
    return (selection, counts(classes, selection), checks(classes, selection))
  }

  /// Whether classes decide the order alone. A dump of ours that is converted keeps the order it has.
  private var isOrderedByClass: Bool { request.level == .all && order == .critical && source.metadata == nil }
  private var order: DumpOrder { request.format.isPaged ? .address : request.order }

  /// What is in pass 2.
  private func core(_ classes: PageClassification?) -> KernelCore? {
    guard order == .critical, isOrderedByClass || request.level.needsClasses else { return nil }
    let core = KernelCore(kernel, classes)
    if let finding = core.finding { reporter.message("order of the dump: \(finding)") }
    return core
  }

  /// What every page was used for. What is wrong with that is told, and kept in the dump. Where only the
  /// order depends on it, it is no finding; and if there are no classes, none is shown.
  private func classified() -> PageClassification? {
    reporter.message("finding out which pages are in use")
    let classes = PageClassification(kernel, trust: request.trust, work: work)
    if !request.level.needsClasses {
      if let finding = classes.findings.first { reporter.message("order of the dump: \(finding)") }
      return classes[.layout].failed == 0 ? classes : nil
    }
    for finding in classes.findings {
      findings.append(finding.description)
      reporter.warning(finding.description)
    }
    return classes
  }

  /// A dump of ours that is converted keeps what it says.
  private func counts(_ classes: PageClassification?, _ selection: PageSelection) -> [MCoreNote.ClassCount] {
    guard let classes else { return source.statement?.classes ?? [] }
    var leftOut: [UInt32: UInt64] = [:]
    for entry in selection.absent where entry.reason == .level {
      leftOut[entry.pageClass, default: 0] += kernel.pageSize.pages(in: entry.range)
    }
    return PageClass.allCases.map { pageClass in
      let total = classes.counts[pageClass]
      return MCoreNote.ClassCount(
        name: pageClass.name, total: total, kept: total - min(total, leftOut[UInt32(pageClass.rawValue)] ?? 0))
    }
  }

  private func checks(_ classes: PageClassification?, _ selection: PageSelection) -> [MCoreNote.CheckCount] {
    guard let classes, request.level.needsClasses else { return source.statement?.checks ?? [] }
    let made = classes.checks.map {
      MCoreNote.CheckCount(name: $0.name, tried: $0.tried, failed: $0.failed, keptPages: $0.keptPages)
    }
    // Not about damage: pages that could have gone, and stay for the sake of those who read the dump.
    let headers = MCoreNote.CheckCount(
      name: "program-headers", tried: UInt64(selection.kept.count) + selection.closedGaps, failed: selection.closedGaps,
      keptPages: selection.closedPages)
    return made + [headers]
  }

  private func facts(_ plan: DumpPlan) -> DumpFacts {
    var facts = DumpFacts(kernel, log: log, machine: source.identity)
    facts.take(plan.note)
    facts.format = request.format.rawValue
    facts.findings = plan.note.findings
    facts.memoryBytes = plan.memoryBytes
    facts.sharedPages = facts.pages(plan.note.shared.map(\.range))
    return facts
  }

  private func facts(_ plan: DumpPlan, _ outcome: Pipeline.Outcome) -> DumpFacts {
    var facts = facts(plan)
    facts.unreadable = outcome.unreadable
    facts.zeroPages = plan.note.zeroPages + outcome.zeroPages
    facts.sampledPages = outcome.sampledPages
    facts.changed = outcome.changed
    facts.fileBytes = outcome.bytesWritten
    facts.settle(cut: false)
    return facts
  }

  private func facts(_ plan: DumpPlan, cutAt reached: Reached) -> DumpFacts {
    var facts = facts(plan)
    let missing = plan.missing(beyond: reached.content)
    facts.take(cutOff: missing, plan.note, present: reached.content)
    facts.fileBytes = reached.bytes
    facts.memoryBytes -= missing.reduce(0) { $0 + $1.count }
    // As a reader of the file counts them: runs that are there as a whole.
    facts.sharedPages = facts.pages(plan.note.shared.lazy.map(\.range).filter { RangeSet.overlapping(missing, $0).isEmpty })
    facts.changed = RangeSet.joined(reached.changed)
    facts.settle(cut: true)
    return facts
  }
}

func fileEntry(_ bytes: UInt64, _ sha256: String?) -> JSON {
  .object([("bytes", .unsigned(bytes)), ("sha256", .optional(sha256))])
}
