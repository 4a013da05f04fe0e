import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import Capture
@testable import Reading

/// Old dumps go, and nothing else does.
@Suite struct RetentionTests {
  private let scratch: Scratch

  /// Three dumps of mcore, the times in their names: 2024, 2025, 2026.
  init() throws {
    scratch = try Scratch()
    let input = scratch.file("input")
    try oddMachine().write(to: input)
    let directory = scratch.file("dumps")
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    for year in [2025, 2024, 2026] {
      let made = try save(SaveRequest(source: input, targets: [directory], level: .all), QuietReporter())
      try FileManager.default.moveItem(atPath: made.path, toPath: "\(directory)/\(year)-01-01T00-00-00Z-6.1.0-test")
    }
  }

  private var names: [String] {
    get throws {
      try FileManager.default.contentsOfDirectory(atPath: scratch.file("dumps")).map { String($0.prefix(4)) }.sorted()
    }
  }

  @Test func theNewestStay() throws {
    let listed = try listDumps(in: scratch.file("dumps"))
    #expect(listed.count == 3 && listed.allSatisfy { $0.isOurs && ($0.isWhole) }, "\(listed)")
    #expect(try removeOldDumps(in: scratch.file("dumps"), Retention(keep: 3)).isEmpty)
    let removed = try removeOldDumps(in: scratch.file("dumps"), Retention(keep: 2))
    #expect(removed.count == 1 && removed[0].contains("2024-"))
    #expect(try names == ["2025", "2026"])
    #expect(try removeOldDumps(in: scratch.file("dumps"), Retention()).isEmpty)
    #expect(try names == ["2025", "2026"])
  }

  @Test func whatIsTooOldGoesButTheNewest() throws {
    let directory = scratch.file("dumps")
    // All have the time of the crash in them: 1,763,866,267.
    let crash: Int64 = 1_763_866_267
    #expect(try removeOldDumps(in: directory, Retention(days: 30), now: crash + 30 * 86_400) { nil }.isEmpty)
    let removed = try removeOldDumps(in: directory, Retention(days: 30), now: crash + 30 * 86_400 + 1) { nil }
    #expect(removed.count == 2)
    #expect(try names == ["2026"])
  }

  @Test func roomIsMadeByTheOldest() throws {
    let directory = scratch.file("dumps")
    var room: UInt64 = 5
    let rules = Retention(minFree: 7)
    // Enough after the first.
    #expect(
      try removeOldDumps(in: directory, rules, now: 0) {
        defer { room += 4 }
        return room
      }.map { String($0.dropFirst(directory.utf8.count + 1).prefix(4)) } == ["2024"])
    // Unknown room is no reason; and the newest stays whatever there is.
    #expect(try removeOldDumps(in: directory, rules, now: 0) { nil }.isEmpty)
    #expect(try removeOldDumps(in: directory, rules, now: 0) { 0 }.count == 1)
    #expect(try names == ["2026"])
  }

  /// A directory may be shared: what another machine wrote stays, and what does not say whose it is.
  @Test func dumpsOfAnotherMachineStay() throws {
    let directory = scratch.file("dumps")
    #expect(try removeOldDumps(in: directory, Retention(keep: 1, node: "synthetic")).isEmpty)
    let input = scratch.file("kernel")
    try SyntheticMachine(SyntheticMachineConfiguration(.v6_1, memory: 128 << 20, seed: 3)).writeCore(to: input)
    for year in [2027, 2028] {
      let made = try save(SaveRequest(source: input, targets: [directory]), QuietReporter())
      try FileManager.default.moveItem(atPath: made.path, toPath: "\(directory)/\(year)-01-01T00-00-00Z-6.1.0-test")
    }
    #expect(try removeOldDumps(in: directory, Retention(keep: 1, days: 1, minFree: .max, node: "other")).isEmpty)
    let removed = try removeOldDumps(in: directory, Retention(keep: 1, node: "synthetic"))
    #expect(removed.map { $0.contains("2027-") || $0.contains("2028-") } == [true])
    #expect(try names.count == 4)
  }

  /// What lies elsewhere is somebody's archive, and what is not a file is no dump.
  @Test func nothingIsRemovedThroughALink() throws {
    let directory = scratch.file("dumps")
    let manager = FileManager.default
    try manager.createDirectory(atPath: scratch.file("archive"), withIntermediateDirectories: false)
    let old = "2024-01-01T00-00-00Z-6.1.0-test"
    try manager.moveItem(atPath: "\(directory)/\(old)", toPath: scratch.file("archive/\(old)"))
    try manager.createSymbolicLink(atPath: "\(directory)/\(old)", withDestinationPath: scratch.file("archive/\(old)"))
    try manager.createDirectory(
      atPath: "\(directory)/2025-01-01T00-00-00Z-6.1.0-test/vmcore.d", withIntermediateDirectories: false)
    #expect(try removeOldDumps(in: directory, Retention(keep: 1)).isEmpty)
    #expect(try manager.contentsOfDirectory(atPath: scratch.file("archive/\(old)")).count >= 2)
    #expect(try manager.contentsOfDirectory(atPath: "\(directory)/2025-01-01T00-00-00Z-6.1.0-test").contains("dump.json"))
    try manager.removeItem(atPath: "\(directory)/2025-01-01T00-00-00Z-6.1.0-test/vmcore.d")
    #expect(
      try removeOldDumps(in: directory, Retention(keep: 1), sparing: ["\(directory)/2025-01-01T00-00-00Z-6.1.0-test"]).isEmpty)
    #expect(try removeOldDumps(in: directory, Retention(keep: 1)).count == 1)
  }

  /// A FIFO of that name would keep a reader waiting for ever.
  @Test func aPipeInADirectoryOfDumpsIsNotOpened() throws {
    for name in ["dump.json", "vmcore.elf.gz"] {
      let dump = scratch.file("dumps/2026-01-01T00-00-00Z-6.1.0-test/\(name)")
      try FileManager.default.removeItem(atPath: dump)
      #expect(mkfifo(dump, 0o600) == 0)
    }
    let listed = try listDumps(in: scratch.file("dumps"))
    #expect(listed.map(\.isWhole) == [false, true, true] && listed[0].status == "unreadable")
  }

  @Test func whatIsNotAWholeDumpOfOursStays() throws {
    let directory = scratch.file("dumps")
    try "mine".write(toFile: directory + "/2024-01-01T00-00-00Z-6.1.0-test/notes", atomically: true, encoding: .utf8)
    try FileManager.default.moveItem(
      atPath: directory + "/2025-01-01T00-00-00Z-6.1.0-test", toPath: directory + "/2025-01-01T00-00-00Z-6.1.0-test.incomplete")
    try FileManager.default.createDirectory(atPath: directory + "/2023-01-01T00-00-00Z-x", withIntermediateDirectories: false)
    #expect(try removeOldDumps(in: directory, Retention(keep: 1)).isEmpty)
    #expect(try names == ["2023", "2024", "2025", "2026"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory + "/2024-01-01T00-00-00Z-6.1.0-test").count >= 3)
  }
}
