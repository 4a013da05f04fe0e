internal import CoreEncoding
internal import CrashedKernel
internal import DumpBasics
internal import DumpPlan
internal import DumpSource
internal import LinuxSystem
internal import PageClasses
internal import PageSelection
internal import Workers

/// From the crashed kernel to the plan of its dump: classes, selection, zeros, memory with equal content.
struct Planning {
  private let request: SaveRequest
  private let source: any DumpSource
  private let kernel: CrashedKernel
  private let work: OrderedWork
  /// The same threads, for what makes the dump smaller and nothing else: it ends with the time limit.
  /// (Classes don't: without them everything would have to be written, and a region in memory would have no
  /// place.)
  private let shrinking: OrderedWork
  private let reporter: any Reporter

  init(
    _ request: SaveRequest, _ source: any DumpSource, _ kernel: CrashedKernel, _ work: OrderedWork, _ limits: RunningLimits,
    _ reporter: any Reporter
  ) {
    self.request = request
    self.source = source
    self.kernel = kernel
    self.work = work
    shrinking = work.interrupted { limits.reached(bytes: 0, isEarly: false) }
    self.reporter = reporter
  }

  /// Reads all of the memory. `notes` go into the dump. `findings` are those of the source; those of the page
  /// metadata are added.
  func plan(notes: [DumpNote], findings: [String]) throws(DumpError) -> DumpPlan {
    var findings = findings
    let (selection, classes, checks) = selected(&findings)
    System.returnFreedMemory()
    let zeros = zeros(selection)
    let shared = sharedMemory(selection, zeros)
    System.returnFreedMemory()
    return try DumpPlan(
      consume selection, source, notes: notes, zeros: zeros, shared: shared, tool: toolVersion,
      crashTime: UInt64(max(0, kernel.crashTime ?? 0)),
      findings: findings, classes: classes, checks: checks)
  }

  // MARK: what makes the dump smaller

  /// Where the format has page for page, each has its place, those of zeros too.
  private func zeros(_ selection: borrowing PageSelection) -> ZeroScan {
    if request.format.isPaged { return ZeroScan() }
    if request.level == .all, let known = source.metadata.flatMap({ ZeroScan(source, $0.note) }) { return known }
    let ranges = selection.kept.lazy.map(\.range)
    let total = ranges.reduce(0) { $0 + $1.count }
    reporter.message("looking for long runs of zeros in \(humanBytes(total))")
    return unlessLate(ZeroScan()) { () throws(DumpError) in
      try ZeroScan(ranges, source, kernel.pageSize, shrinking) { reporter.progress(done: $0, total: total) }
    }
  }

  /// Which memory stands in the dump once for several places. A dump of ours that is converted says so of
  /// itself: that is in the selection.
  private func sharedMemory(_ selection: borrowing PageSelection, _ zeros: ZeroScan) -> [SharedRange] {
    if request.format.isPaged { return [] }
    if request.level == .all, source.metadata != nil { return selection.shared }
    guard request.level.keepsMoreThanKernel else { return [] }
    reporter.message("looking for pages with the same content")
    let kept = selection.kept
    let runs = unlessLate(SharedScan()) { () throws(DumpError) in
      try SharedScan(kept, zeros: zeros, source, kernel.pageSize, shrinking) { reporter.progress(done: $0, total: $1) }
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

  // MARK: what is kept

  /// What goes into the dump, and what the note says of that. The classes themselves end here: of a large
  /// machine they take more room than anything that comes after.
  private func selected(
    _ findings: inout [String]
  ) -> (PageSelection, [MCoreNote.ClassCount], [MCoreNote.CheckCount]) {
    let classes = request.level.needsClasses || isOrderedByClass ? classified(&findings) : nil
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
  private func classified(_ findings: inout [String]) -> PageClassification? {
    reporter.message("finding out which pages are in use")
    let classes = PageClassification(kernel, trust: request.trust, work: work)
    if !request.level.needsClasses {
      if let finding = classes.findings.first { reporter.message("order of the dump: \(finding)") }
      return classes[.layout].failed == 0 ? classes : nil
    }
    if let finding = classes.momentary.first {
      let kept = classes.checks.reduce(UInt64(0)) { clampedSum($0, $1.keptPages) }
      reporter.message(
        "\(kept) pages are kept, since what says what they are changed while it was read; the first of "
          + "\(classes.momentary.count) such places: \(finding)")
    }
    for finding in classes.findings {
      findings.append(finding.description)
      reporter.warning(finding.description)
    }
    return classes
  }

  // MARK: what the note says of it

  /// A dump of ours that is converted keeps what it says.
  private func counts(_ classes: PageClassification?, _ selection: PageSelection) -> [MCoreNote.ClassCount] {
    let stated = source.statement?.classes ?? []
    if request.level == .all, !stated.isEmpty { return stated }
    guard let classes else { return [] }
    var leftOut: [UInt32: UInt64] = [:]
    for entry in selection.absent where entry.reason == .level {
      leftOut[entry.pageClass, default: 0] += kernel.pageSize.pages(in: entry.range)
    }
    return PageClass.allCases.map { pageClass in
      // Pages that a dump of ours left out are not among those that were classified now.
      let total = max(classes.counts[pageClass], stated.first { $0.name == pageClass.name }?.total ?? 0)
      let here = classes.counts[pageClass]
      let gone = clampedSum(leftOut[UInt32(pageClass.rawValue)] ?? 0, selection.pagesWithoutData[pageClass] ?? 0)
      return MCoreNote.ClassCount(name: pageClass.name, total: total, kept: here - min(here, gone))
    }
  }

  private func checks(_ classes: PageClassification?, _ selection: PageSelection) -> [MCoreNote.CheckCount] {
    guard let classes, request.level.needsClasses else { return request.level == .all ? source.statement?.checks ?? [] : [] }
    let made = classes.checks.map {
      MCoreNote.CheckCount(name: $0.name, tried: $0.tried, failed: $0.failed, keptPages: $0.keptPages)
    }
    // Not about damage: pages that could have gone, and stay for the sake of those who read the dump.
    let headers = MCoreNote.CheckCount(
      name: "program-headers", tried: UInt64(selection.kept.count) + selection.closedGaps, failed: selection.closedGaps,
      keptPages: selection.closedPages)
    return made + [headers]
  }
}
