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
  /// What `arm` recorded: boot id, nonce, geometry. Time and release come from the crashed kernel.
  public var identity = RegionIdentity()

  public init() {}
}

/// Opens the region for a dump that is planned. `windows`: those that were set aside for it; where there are none, memory is
/// taken that the crashed kernel did not use and the plan leaves out.
func openRegion(
  _ windows: [PhysicalRange], _ settings: RegionSettings, _ kernel: CrashedKernel, _ plan: DumpPlan, _ trust: Trust
) throws(DumpError) -> MemoryDestination {
  var identity = settings.identity
  identity.release = kernel.release ?? ""
  identity.crashTime = kernel.crashTime ?? System.secondsSince1970
  let extents =
    windows.isEmpty ? try chosenExtents(settings, plan, trust) : try requireUnkept(try RegionExtents(windows), plan, settings)
  let memory = try DeviceMemory(settings.device)
  return MemoryDestination(memory, extents, identity, fitted: windows.isEmpty)
}

private func chosenExtents(
  _ settings: RegionSettings, _ plan: DumpPlan, _ trust: Trust
) throws(DumpError) -> RegionExtents {
  guard trust == .checked else {
    throw DumpError(
      .usage, "which memory is free is not checked with trust=\(trust.rawValue), so nothing may be written to it",
      at: "memory:", advice: "leave trust at checked, or set a window of memory aside")
  }
  guard let occupied = occupiedMemory(iomem: try System.text(of: settings.memoryMap)) else {
    throw DumpError("this kernel does not tell its own memory", at: settings.memoryMap)
  }
  // What does not get smaller gets at most 1/2000 larger in blocks; trailer and index are far below the rest of 1 %.
  let wanted = plan.trailerOffset + plan.trailerOffset / 100 + 1 << 20
  guard let choice = RegionChoice(wanted: wanted, of: plan.note.leftOut, never: occupied) else {
    throw DumpError(
      .full, "the crashed kernel had no 2 MiB of memory in one piece that the dump may use", at: "memory:",
      advice: "set a window of memory aside, or leave more out")
  }
  return choice.extents
}

/// A window that was set aside is no memory of the crashed kernel; where it is, it must not be kept.
private func requireUnkept(
  _ extents: RegionExtents, _ plan: DumpPlan, _ settings: RegionSettings
) throws(DumpError) -> RegionExtents {
  for piece in plan.pieces {
    if let extent = extents.ranges.first(where: { $0.intersection(piece.memory) != nil }) {
      throw DumpError(
        .usage, "the dump holds memory of this window", at: "memory:, \(extent)",
        advice: "set it aside on the normal kernel's command line (memmap=SIZE!ADDRESS)")
    }
  }
  return extents
}
