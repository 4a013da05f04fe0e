internal import Capture
internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem

/// The memory of the kernel that crashed, in its crash kernel.
private let vmcoreSource = "/proc/vmcore"

/// Whether an exit status says that there is a whole dump (docs: 0 saved, 3 saved with findings).
func isSaved(_ status: Int32) -> Bool { status == 0 || status == SaveStatus.findings.exitStatus }

/// Saves the dump, and says how it went. Returns the exit status. `endsOnSignal`: Ctrl-C ends a dump that is
/// being written after a whole part of it.
func capture(_ settings: Settings, _ reporter: any Reporter, endsOnSignal: Bool = false) -> Int32 {
  let start = System.monotonicNanoseconds
  let feeder = Watchdogs.ofCrashKernel(settings, reporter).map { watchdogs in
    reporter.message("\(watchdogs.paths): fed while there is progress")
    return WatchdogFeeder(watchdogs, patience: settings.wait.value + WatchdogFeeder.patience, reporter)
  }
  // Until the dump is on the disk.
  defer { withExtendedLifetime(feeder) {} }
  let status: Int32
  do throws(DumpError) {
    if settings.source.value == memorySource { return try saveFromMemory(settings, reporter) }
    if isRawWord(settings.source.value) {
      waitForDisks(settings, reporter)
      return report(
        try saveRaw(
          settings.source.value, to: settings.targets.map(\.value), settings.transfer, threads: settings.threads.value,
          witness: settings.witness, reporter),
        reporter)
    }
    try requireSource(settings.source.value)
    assembleDevices(settings, reporter)
    waitForDisks(settings, reporter)
    var request = SaveRequest(
      source: settings.source.value, targets: settings.targets.map(\.value), level: settings.level.value)
    request.trust = settings.trust.value
    request.format = settings.format.value
    request.speed = settings.speed.value
    request.threads = settings.threads.value
    request.limits.seconds = settings.maxTime.value
    request.limits.bytes = settings.maxSize.value
    request.transfer = settings.transfer
    request.mirrors = settings.mirrors.map(\.value)
    request.lastResort = settings.last?.value
    request.kernelFactsPath = Hooks.kernelFactsPath
    request.witness = settings.witness
    request.region.normal = normalKernel(settings)
    if request.source == vmcoreSource { request.armedMemory = ArmedMemory(readFrom: ArmedMemory.standardPath) }
    // By a child before this one, which was killed: then the start of a dump is in memory.
    let isAwaited = System.isKernelLoaded(.next)
    if endsOnSignal { System.holdSignals(once: true) }
    let result: SaveResult
    do throws(DumpError) { result = try save(request, reporter) } catch {
      // Nothing of use is in memory: then the machine is ended as it was told to be.
      if request.region.normal != nil, !isAwaited { try? System.unloadKernel(.next) }
      throw error
    }
    let saved = report(result, reporter)
    if request.region.normal != nil { try handOff(result, reporter) }
    status = saved
  } catch {
    reporter.message("error: \(error)")
    status = error.kind == .usage ? 2 : 1
  }
  let seconds = (System.monotonicNanoseconds - start) / 100_000_000
  reporter.message("\(seconds / 10).\(seconds % 10) s, peak memory \(humanBytes(System.peakMemory))")
  return status
}

/// Says how it went, and returns the exit status.
func report(_ result: SaveResult, _ reporter: any Reporter) -> Int32 {
  for finding in result.findings { reporter.warning(finding) }
  Hooks.putDown(result)
  reporter.message("dump saved: \(result.path), \(humanBytes(result.bytesWritten)), \(result.status.text)")
  return result.status.exitStatus
}

private func requireSource(_ path: String) throws(DumpError) {
  if System.kind(of: path) != nil { return }
  if path == vmcoreSource {
    throw DumpError(
      "there is no crashed kernel to save: this kernel was booted normally, not by a crash", at: path,
      advice: "load it as a crash kernel (kexec -p), or name a dump with source=PATH")
  }
  throw DumpError("there is no such file to save", at: path)
}

/// Waits until the disk of a target is there: of the first one that has any, within one time limit for all.
func waitForDisks(_ settings: Settings, _ reporter: any Reporter) {
  let start = System.monotonicNanoseconds
  for target in settings.targets.map(\.value) {
    let passed = (System.monotonicNanoseconds - start) / 1_000_000_000
    let left = settings.wait.value - min(settings.wait.value, passed)
    guard let spec = try? TargetSpec(target) else { continue }
    let isThere = spec.waitUntilPresent(seconds: left) {
      reporter.message("waiting up to \(left) s for the disk of \(target)")
    }
    if isThere { return }
  }
}
