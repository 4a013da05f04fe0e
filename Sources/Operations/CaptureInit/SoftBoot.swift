internal import Capture
internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem
internal import SoftBoot

// The two ends of a soft boot: the crash kernel hands on to the normal one, which saves what was left in
// memory.

/// What `source=` says in the normal kernel.
let memorySource = "memory:"

// MARK: in the crash kernel

/// Where the normal kernel lies, if a target needs it.
func normalKernel(_ settings: Settings) -> String? {
  switch settings.targets.compactMap({ try? TargetSpec($0.value).nextKernel }).max() ?? .none {
  case .none: nil
  case .usedIfThere: System.kind(of: settings.normal.value) == nil ? nil : settings.normal.value
  case .needed: settings.normal.value
  }
}

/// Sees to it that the normal kernel leaves alone what the dump takes, and no more.
func handOff(_ result: SaveResult, _ reporter: any Reporter) throws(DumpError) {
  guard case .inMemory(let region, let next?) = result.whereabouts else {
    // Another target has it.
    if System.isKernelLoaded(.next) { try System.unloadKernel(.next) }
    return
  }
  guard next.isThere else {
    reporter.message("the dump waits in memory for the boot after a restart: \(region.text)")
    return
  }
  // It was loaded before with more memory left out: what can fail now is nothing that lasts.
  do throws(DumpError) { try next.load(region) } catch { try next.load(region) }
  do throws(DumpError) { try next.holdParkedCPU(try DeviceMemory()) } catch {
    reporter.warning("the CPU that firmware started may not stay halted, which would reset the machine: \(error)")
  }
  reporter.message("the normal kernel is loaded, and leaves out \(region.text)")
}

// MARK: in the normal kernel

/// `source=memory:`, at every boot. There is nothing to do unless a crash kernel left a dump; and whatever
/// happens, the boot goes on: the work is done by a child, which gets `max-time` (ten minutes where none is
/// set).
func runSecondStage(_ settings: Settings, _ reporter: any Reporter) -> Int32 {
  if Search(settings).windows.isEmpty { return 0 }
  let limit = settings.maxTime.value > 0 ? settings.maxTime.value : 600
  do throws(DumpError) {
    let child = Command("/proc/self/exe", [FirstProcess.childWord] + FirstProcess.childWords(settings), tellsStatus: true)
    switch try System.run(child, limitSeconds: limit).end {
    case .exited(let status): return status
    case .killed(let signal): reporter.warning("saving the dump in memory was ended by signal \(signal)")
    case .timedOut: reporter.warning("saving the dump in memory was ended after \(limit) s")
    }
  } catch {
    reporter.warning(error.description)
  }
  return 1
}

/// Where a region may lie, and how it is known.
private struct Search {
  var windows: [PhysicalRange] = []
  var expectation = RegionExpectation()

  /// As the command line says. Without that: where `mcore arm` said on this machine's disk that it will be;
  /// or, with a nonce to know it by, all memory that was set aside.
  init(_ settings: Settings) {
    expectation.nonce = settings.nonce?.value
    if let region = settings.region {
      windows = (try? RegionExtents(word: region.value))?.ranges ?? []
      return
    }
    expectation.isFoundByScan = true
    // An orderly shutdown, as for a rehearsal, takes the first one back.
    let record = ArmedRecord(readFrom: ArmedRecord.standardPath) ?? ArmedRecord(readFrom: RehearsalRecord.standardPath)
    if let record, let window = record.window {
      windows = window.ranges
      if settings.nonce == nil { expectation.nonce = RegionID(record.nonce) }
    } else if settings.nonce != nil, let iomem = try? System.text(of: "/proc/iomem") {
      windows = occupiedMemory(iomem: iomem, kind: "Persistent Memory (legacy)") ?? []
    }
  }
}

/// Targets but memory:, which is where the dump comes from.
private func lastingTargets(_ settings: Settings) -> [String] {
  settings.targets.map(\.value).filter { (try? TargetSpec($0))?.waitsInMemory != true }
}

/// What the child does.
func saveFromMemory(_ settings: Settings, _ reporter: any Reporter) throws(DumpError) -> Int32 {
  let search = Search(settings)
  let memory = MachineMemory(search.windows, waitSeconds: settings.wait.value)
  // At most boots nothing is there.
  if search.expectation.isFoundByScan, try !holdsRegion(memory, search.windows) { return 0 }
  var request = SecondStageRequest(
    windows: search.windows, expectation: search.expectation, targets: lastingTargets(settings))
  request.threads = settings.threads.value
  request.transfer = settings.transfer
  request.witness = settings.witness
  request.attemptLimit = UInt32(clamping: settings.attempts.value)
  waitForDisks(settings, reporter)
  guard let result = try saveRegion(memory, request, reporter) else {
    if !search.expectation.isFoundByScan { reporter.message("the dump in memory was saved already") }
    return 0
  }
  return report(result, reporter)
}
