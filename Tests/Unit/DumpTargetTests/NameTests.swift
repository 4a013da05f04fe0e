import DumpBasics
import LinuxSystem
import Testing

@testable import DumpTarget

@Test func aDumpIsNamedByTimeAndRelease() {
  #expect(dumpName(crashTime: 1_795_402_267, release: "6.1.0-47-cloud-amd64") == "2026-11-23T02-51-07Z-6.1.0-47-cloud-amd64")
  #expect(dumpName(crashTime: 0, release: "5.10") == "1970-01-01T00-00-00Z-5.10")
  #expect(dumpName(crashTime: 951_782_400, release: "x") == "2000-02-29T00-00-00Z-x")
}

@Test func aDamagedTimeIsStillAName() {
  for time in [Int64.min, -1, Int64.max] {
    let name = dumpName(crashTime: time, release: "r")
    #expect(name.hasSuffix("Z-r") && name.utf8.count == 22)
  }
}

@Test func theReleaseOfAHostileDumpLeadsNowhere() {
  #expect(dumpName(crashTime: 0, release: "../../etc/passwd") == "1970-01-01T00-00-00Z-.._.._etc_passwd")
  #expect(dumpName(crashTime: 0, release: "a\u{1b}[2J\n\0b c") == "1970-01-01T00-00-00Z-a__2J__b_c")
  #expect(dumpName(crashTime: 0, release: "") == "1970-01-01T00-00-00Z-unknown")
  #expect(dumpName(crashTime: 0, release: "7.3~rc1+deb_x") == "1970-01-01T00-00-00Z-7.3~rc1+deb_x")
  let long = dumpName(crashTime: 0, release: String(repeating: "é", count: 500))
  #expect(long == "1970-01-01T00-00-00Z-" + String(repeating: "_", count: 64))
}

@Test func aReleaseCanNotMakeAWholeDumpLookCut() {
  #expect(!dumpName(crashTime: 0, release: "6.1.incomplete").hasSuffix(".incomplete"))
  let cutInside = String(repeating: "a", count: 53) + ".incomplete-and-more"
  #expect(!dumpName(crashTime: 0, release: cutInside).hasSuffix(".incomplete"))
}

@Test func parentsOfPaths() {
  for (path, parent) in [("/a/b", "/a"), ("/a", "/"), ("/", "/"), ("a", "."), ("a/b", "a"), ("/a//b//", "/a"), ("//a", "/")] {
    #expect(parentDirectory(of: path) == parent, "\(path)")
  }
  #expect(joined("/", "x") == "/x" && joined("/a", "x") == "/a/x" && joined("a/", "x") == "a/x")
}
