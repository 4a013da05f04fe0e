internal import DumpBasics
public import SoftBoot

/// `memory:`: the region of the soft boot. Where it lies is known only when the crashed kernel has been
/// looked through, so that opening it is another way than that of the other kinds: `MemoryDestination`.
struct MemoryTarget: TargetKind {
  static let form = "memory: (in a crash kernel)"

  /// Windows that were set aside for it; nil for memory that the crashed kernel did not use.
  let windows: RegionExtents?

  init?(parsing word: String) throws(DumpError) {
    guard let list = word.dropping(prefix: "memory:") else { return nil }
    windows = list.isEmpty ? nil : try RegionExtents(word: list)
  }

  func open(dumpName: String) throws(DumpError) -> any Destination {
    throw DumpError(
      .usage, "memory: takes the dump of a crashed kernel alone", at: "memory:", advice: "name a directory or a file")
  }
}

extension TargetSpec {
  /// Whether this is `memory:`, and the windows that it names.
  public var isMemory: Bool { kind is MemoryTarget }
  public var memoryWindows: RegionExtents? { (kind as? MemoryTarget)?.windows }
}
