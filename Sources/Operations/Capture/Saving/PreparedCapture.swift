internal import CrashedKernel
internal import DumpBasics
internal import DumpPlan
internal import DumpSource
internal import DumpTarget
internal import LinuxSystem
internal import Pipeline
internal import SoftBoot
internal import Workers

/// What is captured: a source that was looked through once, ready to be written to one target after another.
final class PreparedCapture {
  let request: SaveRequest
  let reporter: any Reporter
  let source: any DumpSource
  let kernel: CrashedKernel
  /// What a witness says of it, where there is one. That takes seconds, so it is asked when the log is safe.
  private(set) lazy var explanation: Explanation? = explained()
  /// Nil where it could not be read.
  let log: KernelLog?
  let work: OrderedWork
  let limits: RunningLimits
  /// What is wrong with the source, before any page is classified.
  private let findings: [String]
  /// Nil until somebody asks for the plan.
  private(set) var planIfMade: DumpPlan?
  private var estimate: UInt64?

  /// - Throws: when the file that `vmcoreInfo` names can't be read.
  init(_ request: SaveRequest, _ source: any DumpSource, _ reporter: any Reporter) throws(DumpError) {
    self.request = request
    self.reporter = reporter
    self.source = source
    limits = RunningLimits(request.limits)
    kernel = CrashedKernel(source, vmcoreinfo: try readVMCoreInfo(request.vmcoreInfo))
    work = OrderedWork(threads: request.threads > 0 ? request.threads : System.usableCPUs).interrupted { System.interruption }
    var findings = DumpFindings(source, kernel).all + (request.check?(source, request.threads) ?? [])
    if let armed = request.armedMemory {
      let own = (try? System.text(of: request.region.memoryMap)).flatMap { occupiedMemory(iomem: $0, kind: "System RAM") }
      findings += armed.findings(source.segments.map(\.physical), own: own ?? [], at: source.name).map(\.description)
    }
    do throws(DumpError) {
      log = try kernel.log()
    } catch {
      log = nil
      // A dump of ours says so already: converting it must not say it once more.
      if source.statement == nil { findings.append(error.description) }
    }
    self.findings = findings
    for finding in findings { reporter.warning(finding) }
    let release = printable(kernel.release ?? "unknown")
    let reason = log?.panicMessage.map { printable($0) }
    reporter.message("crashed kernel \(release)\(reason.map { ", \($0)" } ?? "")")
    if let path = request.kernelFactsPath {
      try? System.replaceFile(path, with: Array("MCORE_RELEASE=\(release)\nMCORE_REASON=\(reason ?? "")\n".utf8))
    }
  }

  /// The plan of the dump. It is made when the first target is open: it reads all of the memory, and the log
  /// goes out before that.
  func plan() throws(DumpError) -> DumpPlan {
    if let planIfMade { return planIfMade }
    let planning = Planning(
      request, source, kernel.supplemented(by: explanation?.supplements ?? []), work, limits, reporter)
    let told = (explanation?.findings ?? []).filter { !findings.contains($0) }
    let made = try planning.plan(notes: kernel.notes, findings: findings + told)
    planIfMade = made
    return made
  }

  private func explained() -> Explanation? {
    let start = System.monotonicNanoseconds
    let explanation = request.witness?.explain(kernel)
    if explanation?.files.isEmpty == false {
      let tenths = (System.monotonicNanoseconds - start) / 100_000_000
      reporter.message("report made in \(tenths / 10).\(tenths % 10) s")
    }
    for finding in explanation?.findings ?? [] where !findings.contains(finding) { reporter.warning(finding) }
    for line in explanation?.supplements ?? [] { reporter.message("by the kernel's types: \(printable(line))") }
    return explanation
  }

  /// About how large the dump file will be.
  func estimatedBytes() throws(DumpError) -> UInt64 {
    if let estimate { return estimate }
    let made = try Pipeline(try plan(), request.format, work, speed: request.speed).estimatedSize(source)
    estimate = made
    return made
  }

  /// Opens a target, and those that get the same dump at the same time. A region of memory is one of a kind.
  func open(_ target: String) throws(DumpError) -> any Destination {
    let spec = try TargetSpec(target)
    if spec.nextKernel != .none { return try spec.open(self) }
    let reporter = reporter
    let mirrors = try request.mirrors.map { (word) throws(DumpError) in try TargetSpec(word) }
    return try openTargets([spec] + mirrors, NamedDump(directoryName, request.transfer)) { reporter.message($0) }
  }

  /// The log and the registers, where nothing else could be kept. `failures`: a line for each target.
  func writeLastResort(_ disk: String, _ failures: [String]) {
    do throws(DumpError) {
      let device = try LastResort(disk, forWriting: true)
      try device.write(LastResortText(kernel: kernel, log: log, failures: failures).bytes(capacity: device.capacity))
      reporter.message("last resort: log and registers are on \(disk); mcore last \(disk) prints them")
    } catch { reporter.warning("the last resort failed too: \(error)") }
  }
}

/// What a target may ask.
extension PreparedCapture: DumpOffer {
  var directoryName: String {
    dumpName(crashTime: kernel.crashTime ?? System.secondsSince1970, release: kernel.release ?? "unknown")
  }

  var transfer: TransferOptions { request.transfer }

  func openRegion(_ windows: RegionExtents?) throws(DumpError) -> any Destination {
    try Capture.openRegion(windows, request.region, kernel, try plan(), request.trust)
  }
}
