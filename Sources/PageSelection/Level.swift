internal import PageClasses
internal import DumpBasics

/// How much of the memory goes into a dump. The names are LKCD's.
public enum Level: String, Sendable, CaseIterable {
  /// Notes, registers and the pages that the kernel's log needs.
  case header
  /// Every kernel page, and every page that is not proved to be something else.
  case kern
  /// Everything that is in use.
  case used
  /// Everything.
  case all

  /// Whether pages have to be classified to select by this level.
  public var needsClasses: Bool { self == .kern || self == .used }

  /// Whether pages of a class are kept.
  func keeps(_ pageClass: PageClass) -> Bool {
    switch self {
    case .header: false
    case .kern: pageClass == .kernel
    case .used: [.kernel, .user, .cache, .cachePrivate].contains(pageClass)
    case .all: true
    }
  }
}

extension PageClass {
  /// Where memory of this class stands in the order of need.
  var pass: Pass {
    switch self {
    case .kernel: .kernel
    case .user: .user
    case .cache, .cachePrivate: .cache
    case .free, .offline, .hwpoison: .free
    }
  }
}
