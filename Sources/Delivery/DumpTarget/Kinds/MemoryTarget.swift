internal import DumpBasics
internal import SoftBoot

/// `memory:`: the region of the soft boot. Where it lies is known only when the crashed kernel has been
/// looked through, so the dump itself opens it.
struct MemoryTarget: TargetKind {
  static let form = "memory: (in a crash kernel)"

  /// Windows that were set aside for it; nil for memory that the crashed kernel did not use.
  let windows: RegionExtents?

  init?(parsing word: String) throws(DumpError) {
    guard let list = word.dropping(prefix: "memory:") else { return nil }
    windows = list.isEmpty ? nil : try RegionExtents(word: list)
  }

  /// Without it a dump in free memory would be lost. Where a window was set aside, somebody may know how to
  /// get at it after a restart.
  var nextKernel: NextKernelNeed { windows == nil ? .needed : .usedIfThere }

  func open(_ dump: any DumpOffer) throws(DumpError) -> any Destination { try dump.openRegion(windows) }
}
