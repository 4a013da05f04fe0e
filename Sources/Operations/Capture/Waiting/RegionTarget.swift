internal import CrashedKernel
internal import DumpBasics
internal import DumpPlan
internal import DumpTarget
internal import LinuxSystem
internal import PageClasses
public import SoftBoot

/// What a dump to `memory:` needs beside the dump.
public struct RegionSettings: Sendable {
  /// Where physical memory is reached. Tests have a file here.
  public var device = "/dev/mem"
  /// This kernel's own memory map. Tests have a file here.
  public var memoryMap = "/proc/iomem"
  /// Boot id, nonce and geometry, as `arm` recorded them. Time and release come from the crashed kernel.
  public var identity = RegionIdentity()
  /// Where the kernel lies (`NormalKernel`) that saves the dump from memory afterwards: it is loaded before
  /// the first byte of the dump is written, so that it is there even if this process dies half-way. Nil where
  /// somebody else sees to that.
  public var normal: String?

  public init() {}
}

/// Opens the region for a dump that is planned: in `windows` that were set aside for it, or, where there are
/// none, in memory that the crashed kernel did not use and the plan leaves out.
func openRegion(
  _ windows: RegionExtents?, _ settings: RegionSettings, _ kernel: CrashedKernel, _ plan: DumpPlan, _ trust: Trust
) throws(DumpError) -> MemoryDestination {
  let normal: NormalKernel?
  if let directory = settings.normal {
    var next = try NormalKernel(directory)
    if next.parksCPU {
      let stopped = StoppedProcessor(kernel, cpu: 0)
      next.park(topTable: stopped.topTable, behindHalt: stopped.behindHalt)
    }
    normal = next
  } else {
    normal = nil
  }
  var identity = normal?.identity ?? settings.identity
  identity.release = kernel.release ?? ""
  identity.crashTime = kernel.crashTime ?? System.secondsSince1970
  let iomem = try System.text(of: settings.memoryMap)
  guard let occupied = occupiedMemory(iomem: iomem), let own = occupiedMemory(iomem: iomem, kind: "System RAM") else {
    throw DumpError("this kernel does not tell its own memory", at: settings.memoryMap)
  }
  let memory = try DeviceMemory(settings.device)
  func opened(_ extents: RegionExtents) throws(DumpError) -> MemoryDestination {
    try requireUnused(extents, plan, own)
    if let normal, windows == nil || normal.isThere { try load(normal, extents) }
    return MemoryDestination(memory, extents, identity, fitted: windows == nil, normal: normal)
  }
  if let windows { return try opened(windows) }
  // Each extent takes room on the normal kernel's command line.
  for limit in [RegionExtents.limit, 4, 2] {
    do throws(DumpError) {
      return try opened(try chosenExtents(normal?.map, plan, trust, occupied, limit))
    } catch { if error.kind != .full { throw error } }
  }
  return try opened(try chosenExtents(normal?.map, plan, trust, occupied, 1))
}

private func load(_ normal: NormalKernel, _ extents: RegionExtents) throws(DumpError) {
  do throws(DumpError) { try normal.load(extents) } catch {
    throw DumpError(
      error.kind, "the normal kernel, which has to save the dump from memory, can't be loaded: \(error.what)", at: error.place,
      advice: error.advice)
  }
}

private func chosenExtents(
  _ map: MemoryMap?, _ plan: DumpPlan, _ trust: Trust, _ occupied: [PhysicalRange], _ limit: Int
) throws(DumpError) -> RegionExtents {
  guard trust == .checked else {
    throw DumpError(
      .usage, "which memory is free is not checked with trust=\(trust.rawValue), so nothing may be written to it",
      at: "memory:", advice: "leave trust at checked, or set a window of memory aside")
  }
  // What does not get smaller gets at most 1/2000 larger in blocks; trailer and index are far below the rest
  // of 1 %.
  let wanted = plan.trailerOffset + plan.trailerOffset / 100 + 1 << 20
  // Memory that was plugged in later is in no map of the firmware: the normal kernel would not know it.
  let never = occupied + (map?.unusable ?? [])
  guard let choice = RegionChoice(wanted: wanted, of: plan.note.leftOut, never: never, extentLimit: limit) else {
    throw DumpError(
      .full, "the crashed kernel had no 2 MiB of memory in one piece that the dump may use", at: "memory:",
      advice: "set a window of memory aside, or leave more out")
  }
  return choice.extents
}

/// Whatever led to these extents: no page that the dump keeps is in them, and nothing that the running kernel
/// works with.
private func requireUnused(_ extents: RegionExtents, _ plan: DumpPlan, _ own: [PhysicalRange]) throws(DumpError) {
  let kept = plan.memoryRead
  for extent in extents.ranges {
    if RangeSet.subtracting(kept, from: extent) != [extent] {
      throw DumpError(
        .usage, "the dump holds memory of this window", at: "memory:, \(extent)",
        advice: "set it aside on the normal kernel's command line (memmap=SIZE!ADDRESS)")
    }
    if RangeSet.subtracting(own, from: extent) != [extent] {
      throw DumpError(.usage, "this kernel runs in this memory", at: "memory:, \(extent)")
    }
  }
}
