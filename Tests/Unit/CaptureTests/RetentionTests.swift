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
    #expect(try removeOldDumps(in: scratch.file("dumps"), keep: 3).isEmpty)
    let removed = try removeOldDumps(in: scratch.file("dumps"), keep: 2)
    #expect(removed.count == 1 && removed[0].contains("2024-"))
    #expect(try names == ["2025", "2026"])
    // Never the newest.
    _ = try removeOldDumps(in: scratch.file("dumps"), keep: 0)
    #expect(try names == ["2026"])
  }

  @Test func whatIsNotAWholeDumpOfOursStays() throws {
    let directory = scratch.file("dumps")
    try "mine".write(toFile: directory + "/2024-01-01T00-00-00Z-6.1.0-test/notes", atomically: true, encoding: .utf8)
    try FileManager.default.moveItem(
      atPath: directory + "/2025-01-01T00-00-00Z-6.1.0-test", toPath: directory + "/2025-01-01T00-00-00Z-6.1.0-test.incomplete")
    try FileManager.default.createDirectory(atPath: directory + "/2023-01-01T00-00-00Z-x", withIntermediateDirectories: false)
    #expect(try removeOldDumps(in: directory, keep: 1).isEmpty)
    #expect(try names == ["2023", "2024", "2025", "2026"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory + "/2024-01-01T00-00-00Z-6.1.0-test").count >= 3)
  }
}
