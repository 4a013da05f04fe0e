/// What a page of the crashed machine was used for. The numbers stand in dumps (docs/format.md): they never
/// change.
public enum PageClass: UInt8, Sendable, CaseIterable, Comparable {
  /// In the page allocator's free lists.
  case free = 1
  /// Page cache without private data: can be read again from its file.
  case cache = 2
  /// Page cache with private data of a file system (buffers, say).
  case cachePrivate = 3
  /// Anonymous memory and huge pages of processes.
  case user = 4
  /// Given back to a hypervisor, or taken out of use: may not be read.
  case offline = 5
  /// Marked as broken hardware: may not be read.
  case hwpoison = 6
  /// Everything else, and everything that is not proved to be something else.
  case kernel = 7

  /// The name in `info --json` and on the command line.
  public var name: String {
    switch self {
    case .free: "free"
    case .cache: "cache"
    case .cachePrivate: "cache-private"
    case .user: "user"
    case .offline: "offline"
    case .hwpoison: "hwpoison"
    case .kernel: "kernel"
    }
  }

  public static func < (a: PageClass, b: PageClass) -> Bool { a.rawValue < b.rawValue }
}

/// Pages of one class that follow one another.
public struct ClassRun: Sendable, Equatable {
  /// Page frame numbers; never empty.
  public var range: Range<UInt64>
  public var pageClass: PageClass
  public init(_ range: Range<UInt64>, _ pageClass: PageClass) {
    self.range = range
    self.pageClass = pageClass
  }
}

/// Pages by class.
public struct ClassCounts: Sendable, Equatable {
  private var values = [UInt64](repeating: 0, count: PageClass.allCases.count + 1)
  public init() {}

  public subscript(_ pageClass: PageClass) -> UInt64 {
    get { values[Int(pageClass.rawValue)] }
    set { values[Int(pageClass.rawValue)] = newValue }
  }

  public var total: UInt64 { values.reduce(0, +) }
}

/// How far the kernel's own metadata is believed.
public enum Trust: String, Sendable, CaseIterable {
  /// Cross-checked; what fails a check is kept.
  case checked
  /// Believed as it stands (`--trust metadata`). Only what would lead out of the dump's memory is still
  /// refused.
  case metadata
  /// Not looked at: every page is `kernel` (`--trust nothing`).
  case nothing
}
