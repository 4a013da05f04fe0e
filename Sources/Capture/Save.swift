public import DumpBasics

/// What to save, and how: the same for `mcore save` and `mcore-capture`.
public struct SaveRequest: Sendable {
  /// Path of the source: `/proc/vmcore` or a dump file.
  public var source: String
  /// TARGET words, tried in order (`TargetSpec`).
  public var targets: [String]
  public var level: Level = .all
  public var format: OutputFormat = .elfGzip
  /// Worker threads; 0 is one for each usable CPU. With 1 no thread is made at all.
  public var threads = 0

  public init(source: String, targets: [String]) {
    self.source = source
    self.targets = targets
  }
}

/// How a dump ended, with the exit status that says so.
public enum SaveStatus: Int32, Sendable {
  /// Whole, nothing to report. Exit 0.
  case complete = 0
  /// Whole, but with findings: pages that could not be read, metadata that failed a check. Exit 3.
  case findings = 3
}

/// What was written. A dump that could not be finished is thrown as a `DumpError` that names what stayed.
public struct SaveResult: Sendable {
  public var status: SaveStatus
  /// Final name of the dump directory or file.
  public var path: String
  /// Bytes of the dump file.
  public var bytesWritten: UInt64
  /// One line each: what was unreadable, what failed a check.
  public var findings: [String]
}

/// Takes what the work has to say while it goes on: to a terminal, a console or nowhere.
public protocol Reporter: AnyObject, Sendable {
  /// A line for the person or the log: what begins or what was found.
  func message(_ text: String)
  /// Something to worry about that did not stop the work.
  func warning(_ text: String)
  /// `done` of `total` bytes of memory have gone through; called often, throttles itself.
  func progress(done: UInt64, total: UInt64)
}

/// How much of the memory goes into the dump. Names as LKCD had them.
public enum Level: String, Sendable, CaseIterable {
  /// Notes, registers and the pages that the kernel's log needs.
  case header
  /// Everything.
  case all
}

/// The formats a dump can be written in.
public enum OutputFormat: String, Sendable, CaseIterable {
  case elfGzip = "elf.gz"
  case elf
}

/// Saves one dump. Tries the targets in order; throws when none of them took it.
public func save(_ request: SaveRequest, _ reporter: any Reporter) throws(DumpError) -> SaveResult {
  throw DumpError(.unsupported, "not written yet")
}
