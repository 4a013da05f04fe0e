import DumpBasics
import PageClasses
import Testing

@testable import PageSelection

private func kept(_ level: Level) -> [String] { PageClass.allCases.filter { level.keeps($0) }.map(\.name) }

@Test func levelsKeepWhatTheirNamesSay() {
  #expect(kept(.header) == [])
  #expect(kept(.kern) == ["kernel"])
  #expect(kept(.used) == ["cache", "cache-private", "user", "kernel"])
  #expect(kept(.all) == PageClass.allCases.map(\.name))
  #expect(Level.allNames == "header, kern, used, all")
  #expect([Level.header, .kern, .used, .all].map(\.needsClasses) == [false, true, true, false])
}

/// The numbers that administrators know (makedumpfile(8), -d).
@Test(arguments: [
  (0, "all", ["free", "cache", "cache-private", "user", "offline", "hwpoison", "kernel"]),
  (1, "all", ["free", "cache", "cache-private", "user", "offline", "hwpoison", "kernel"]),
  (16, "used", ["cache", "cache-private", "user", "kernel"]),
  (17, "used", ["cache", "cache-private", "user", "kernel"]),
  (31, "kern", ["kernel"]),
  (2, "exclude:cache,offline,hwpoison", ["free", "cache-private", "user", "kernel"]),
  (12, "exclude:cache-private,user,offline,hwpoison", ["free", "cache", "kernel"]),
])
func dumpLevelsAreThoseOfMakedumpfile(number: Int, name: String, classes: [String]) {
  #expect(Level(dumpLevel: number)?.name == name)
  #expect(Level(dumpLevel: number).map(kept) == classes)
}

@Test func numbersThatAreNoDumpLevelAreRefused() {
  #expect(Level(dumpLevel: 32) == nil)
  #expect(Level(dumpLevel: -1) == nil)
  #expect(Level(named: "exclude:cache") == nil)
}

@Test func classesCanBeExcludedByName() throws {
  #expect(try Level(excluding: "cache,free").name == "exclude:free,cache")
  #expect(try kept(Level(excluding: "user")) == ["free", "cache", "cache-private", "offline", "hwpoison", "kernel"])
  // What is a level is called by its name.
  #expect(try Level(excluding: "hwpoison,offline,free") == .used)
  #expect(try Level(excluding: Level.excludableNames.replacing(" ", with: "")) == .kern)
}

/// What two levels leave out is what is left of a dump of one at the other.
@Test(arguments: [
  ("all", "kern", "kern"), ("used", "kern", "kern"), ("kern", "used", "kern"), ("kern", "header", "header"),
  ("header", "all", "header"), ("exclude:cache", "used", "exclude:free,cache,offline,hwpoison"),
  ("used", "exclude:cache,cache-private,user", "kern"), ("all", "exclude:user", "exclude:user"),
])
func aDumpIsFilteredAgain(level: String, stated: String, left: String) throws {
  #expect(try #require(Level(stated: level)).within(#require(Level(stated: stated))).name == left)
}

@Test(arguments: ["", "kernel", "exclude:", "exclude:kernel", "exclude"])
func whatADumpStatesMayBeNoLevel(name: String) {
  #expect(Level(stated: name) == nil)
}

@Test(arguments: ["", "kernel", "zero", "cache,", "Cache", "cache user"])
func namesOfNoClassAreRefused(names: String) {
  #expect(throws: DumpError.self) { try Level(excluding: names) }
}
