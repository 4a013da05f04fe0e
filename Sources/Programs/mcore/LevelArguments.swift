import ArgumentParser
import DumpBasics
import PageSelection

/// Which pages go into a dump: the options of `save` and `convert`.
struct LevelArguments: ParsableArguments {
  @Option(help: "What to keep: \(Level.allNames) (save: kern; convert: all that the dump has).")
  var level: Level?

  @Option(help: "In place of a level: classes of pages to leave out, of \(Level.excludableNames).")
  var exclude: String?

  @Option(
    name: .customShort("d"),
    help: "In place of a level: the sum of 1 zero, 2 cache, 4 cache-private, 8 user, 16 free, as for makedumpfile.")
  var dumpLevel: Int?

  private var given: [String] {
    [level != nil ? "--level" : nil, exclude != nil ? "--exclude" : nil, dumpLevel != nil ? "-d" : nil].compactMap { $0 }
  }
  var isGiven: Bool { !given.isEmpty }

  func validate() throws {
    if given.count > 1 { throw ValidationError("\(given.joined(separator: " and ")) say the same thing: give one of them") }
    if let dumpLevel, Level(dumpLevel: dumpLevel) == nil { throw ValidationError("-d is 0 to 31, not \(dumpLevel)") }
  }

  /// Nil where none is given.
  func value() throws(DumpError) -> Level? {
    if let exclude { return try Level(excluding: exclude) }
    return dumpLevel.flatMap { Level(dumpLevel: $0) } ?? level
  }
}
