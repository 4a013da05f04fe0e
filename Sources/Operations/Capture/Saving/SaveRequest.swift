public import CoreFormat
public import PageClasses
public import PageSelection
public import SoftBoot

/// What to save, and how: the same for `mcore save` and `mcore-capture`.
public struct SaveRequest: Sendable {
  /// Path of the source: `/proc/vmcore` or a dump.
  public var source: String
  /// TARGET words, tried in order (`TargetSpec`).
  public var targets: [String]
  public var level: Level
  /// How far the kernel's page map is believed.
  public var trust: Trust = .checked
  public var format: OutputFormat = .elfGzip
  public var order: DumpOrder = .critical
  public var limits = Limits()
  /// Worker threads; 0 is one for each usable CPU. With 1 no thread is made at all.
  public var threads = 0
  /// A disk that gets the log and the registers when no target takes anything (`LastResort`).
  public var lastResort: String?
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

/// How a dump ended.
public enum SaveStatus: Sendable {
  /// Whole, nothing to report.
  case complete
  /// Whole, with findings: pages that could not be read, a source that was cut, notes that are damaged.
  case findings
  /// Cut short, and usable: it keeps its `.incomplete` name.
  case cut

  public var exitStatus: Int32 { self == .complete ? 0 : 3 }
  public var text: String {
    switch self {
    case .complete: "complete"
    case .findings: "whole, with findings"
    case .cut: "cut short, but usable"
    }
  }
}

/// What was written.
public struct SaveResult: Sendable {
  public var status: SaveStatus
  /// Final name of the dump directory or file.
  public var path: String
  /// Bytes of the dump file.
  public var bytesWritten: UInt64
  /// What the reporter has not heard yet, one line each: what was unreadable, why the dump is cut.
  public var findings: [String]
  /// Where the dump waits, if its target was `memory:`. The normal kernel has to save it from there.
  public var region: RegionExtents?
  /// That kernel, which is loaded already, with all of the memory set aside that was chosen at first.
  public var normal: NormalKernel?
}
