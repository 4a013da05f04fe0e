public import DumpTarget

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
  /// Where the dump is once this is over.
  public var whereabouts: Whereabouts = .stored
}
