public import CoreFormat
public import DumpSource
public import DumpTarget
public import PageClasses
public import PageSelection

/// What to save, and how: the same for `mcore save` and `mcore-capture`.
public struct SaveRequest: Sendable {
  /// Path of the source: `/proc/vmcore` or a dump.
  public var source: String
  /// A file with the text of VMCOREINFO, for a source that lacks it; nil for the source's own.
  public var vmcoreInfo: String?
  /// The RAM of the machine as it was when the crash kernel was armed; nil where nobody recorded it.
  public var armedMemory: ArmedMemory?
  /// TARGET words, tried in order (`TargetSpec`).
  public var targets: [String]
  /// Targets that get the dump at the same time as the one that is tried.
  public var mirrors: [String] = []
  public var level: Level
  /// How far the kernel's page map is believed.
  public var trust: Trust = .checked
  public var format: OutputFormat = .elfGzip
  /// How hard the codec tries.
  public var speed: Speed = .balanced
  public var order: DumpOrder = .critical
  public var limits = Limits()
  /// Worker threads; 0 is one for each usable CPU. With 1 none is made.
  public var threads = 0
  /// Whether the file may be of no use until it is whole, which is faster: where the source stays
  /// (`PlacedGroups`).
  public var inAnyOrder = false
  /// A disk that gets the log and the registers when no target takes anything (`LastResort`).
  public var lastResort: String?
  /// A file that gets what the kernel says of itself, as lines MCORE_RELEASE=, MCORE_REASON=; nil for none.
  public var kernelFactsPath: String?
  public var transfer = TransferOptions()
  /// Nil where nobody is there to ask.
  public var witness: (any KernelWitness)?
  /// What is damaged in a source that has checksums (`damagedGroups`); nil where there is no such source, as
  /// in a crash kernel.
  public var check: (@Sendable (any DumpSource, Int) -> [String])?
  /// For the target `memory:`.
  public var region = RegionSettings()

  public init(source: String, targets: [String], level: Level = .kern) {
    self.source = source
    self.targets = targets
    self.level = level
  }
}

/// The order of memory in a dump.
public enum DumpOrder: String, Sendable, CaseIterable {
  /// What is needed most stands first.
  case critical
  /// Ascending.
  case address
}
