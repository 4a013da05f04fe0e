public import DumpBasics
package import PageClasses

/// How much of the memory goes into a dump: four levels by name (LKCD's), or all but the classes one names.
public struct Level: Sendable, Hashable {
  /// Notes, registers and the pages that the kernel's log needs.
  public static let header = Level(name: "header", leavesOut: everyClass, isHeader: true)
  /// Every kernel page, and every page that is not proved to be something else: the default.
  public static let kern = Level(name: "kern", leavesOut: everyClass - bit(.kernel))
  /// Everything that is in use.
  public static let used = Level(name: "used", leavesOut: bit(.free) | bit(.offline) | bit(.hwpoison))
  /// Everything.
  public static let all = Level(name: "all", leavesOut: 0)

  /// From the least to everything.
  public static let named = [header, kern, used, all]
  public static let allNames = named.map(\.name).joined(separator: ", ")
  /// What `excluding` takes.
  public static let excludableNames = PageClass.allCases.filter { $0 != .kernel }.map(\.name).joined(separator: ", ")

  /// How the name of a level that is none of the four begins.
  private static let excluding = "exclude:"

  /// As it stands in dumps: one of the four, or `exclude:` and the classes.
  public let name: String
  /// Bit n: the class with number n.
  private let leavesOut: UInt8
  private let isHeader: Bool

  private init(name: String, leavesOut: UInt8, isHeader: Bool = false) {
    self.name = name
    self.leavesOut = leavesOut
    self.isHeader = isHeader
  }

  /// One of the four levels, or nil.
  public init?(named name: String) {
    guard let level = Level.named.first(where: { $0.name == name }) else { return nil }
    self = level
  }

  /// As a dump states it (`name`).
  public init?(stated name: String) {
    if let level = Level(named: name) {
      self = level
    } else if name.utf8.starts(with: Level.excluding.utf8),
      let level = try? Level(excluding: String(Substring(name.utf8.dropFirst(Level.excluding.utf8.count))))
    {
      self = level
    } else {
      return nil
    }
  }

  /// What is left of a dump of level `other` at this level: what either leaves out is gone.
  public func within(_ other: Level) -> Level {
    isHeader || other.isHeader ? .header : Level(leavingOut: leavesOut | other.leavesOut)
  }

  /// By the numbers of makedumpfile's `-d`, 0 to 31: 1 zero pages, 2 cache, 4 cache-private, 8 user, 16 free.
  /// Zero pages never make a gap, so 1 changes nothing. As there, offline and hwpoison pages go with the
  /// first class that does.
  public init?(dumpLevel: Int) {
    guard (0...31).contains(dumpLevel) else { return nil }
    var bits: UInt8 = dumpLevel >= 2 ? bit(.offline) | bit(.hwpoison) : 0
    for (number, pageClass) in [(2, PageClass.cache), (4, .cachePrivate), (8, .user), (16, .free)] {
      if dumpLevel & number != 0 { bits |= bit(pageClass) }
    }
    self.init(leavingOut: bits)
  }

  /// By names of classes, with commas between them. Throws for one that there is not, or that can't be left
  /// out.
  public init(excluding names: String) throws(DumpError) {
    var bits: UInt8 = 0
    for name in names.utf8.split(separator: 0x2c, omittingEmptySubsequences: false).map({ String(Substring($0)) }) {
      guard let pageClass = PageClass.allCases.first(where: { $0.name == name }), pageClass != .kernel else {
        throw DumpError(
          .usage, "'\(name)' is no class of pages that can be left out",
          advice: "write some of \(Level.excludableNames), with commas between them; zero pages need no room anyway")
      }
      bits |= bit(pageClass)
    }
    self.init(leavingOut: bits)
  }

  private init(leavingOut bits: UInt8) {
    if let level = Level.named.first(where: { !$0.isHeader && $0.leavesOut == bits }) {
      self = level
    } else {
      let names = PageClass.allCases.filter { bits & bit($0) != 0 }.map(\.name)
      self.init(name: Level.excluding + names.joined(separator: ","), leavesOut: bits)
    }
  }

  /// As a setting of mcore-capture.
  public var setting: String {
    let isList = name.utf8.starts(with: Level.excluding.utf8)
    return isList ? "exclude=\(Substring(name.utf8.dropFirst(Level.excluding.utf8.count)))" : "level=\(name)"
  }

  /// Whether pages have to be classified to select by this level.
  public var needsClasses: Bool { !isHeader && leavesOut != 0 }

  /// Whether other memory than the kernel's own is kept: there many pages have the same content.
  public var keepsMoreThanKernel: Bool { leavesOut & Level.kern.leavesOut != Level.kern.leavesOut }

  /// Whether pages of a class are kept.
  package func keeps(_ pageClass: PageClass) -> Bool { leavesOut & bit(pageClass) == 0 }
}

private func bit(_ pageClass: PageClass) -> UInt8 { 1 << pageClass.rawValue }
private let everyClass = PageClass.allCases.reduce(0) { $0 | bit($1) }

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
