/// The order of need: what stands first in a dump survives a cut. docs/format.md, "Passes".
public enum Pass: UInt8, Sendable, CaseIterable, Comparable {
  /// Headers, notes, the log, the registers.
  case witness = 1
  /// Kernel text and data, page tables, `mem_section` and the page map, per-CPU areas, stacks.
  case kernelCore = 2
  /// The other kernel pages.
  case kernel = 3
  case user = 4
  case cache = 5
  case free = 6

  public var text: String {
    switch self {
    case .witness: "log and notes"
    case .kernelCore: "core of the kernel"
    case .kernel: "other kernel pages"
    case .user: "user"
    case .cache: "page cache"
    case .free: "free"
    }
  }

  public static func < (a: Pass, b: Pass) -> Bool { a.rawValue < b.rawValue }
}
