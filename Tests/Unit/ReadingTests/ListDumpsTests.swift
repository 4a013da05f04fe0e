import Foundation
import TestSupport
import Testing

@testable import Capture
@testable import Reading

@Suite struct ListDumpsTests {
  @Test func namesAreTakenApart() {
    let name = DumpDirectoryName("2026-11-23T02-51-07Z-6.1.0-47-cloud-amd64-2.incomplete")
    #expect(name?.time == 1_795_402_267 && name?.release == "6.1.0-47-cloud-amd64-2" && name?.isIncomplete == true)
    #expect(DumpDirectoryName("1970-01-01T00-00-00Z-x")?.time == 0)
    #expect(DumpDirectoryName("2000-02-29T23-59-59Z-x")?.time == 951_868_799)
    for name in ["", "2026-11-23T02-51-07Z-", "2026-13-23T02-51-07Z-x", "202611231234", "2026-11-23T02-51-0xZ-x", "lost+found"] {
      #expect(DumpDirectoryName(name) == nil, "\(name)")
    }
  }

  @Test func newestFirstAndWhatIsBrokenIsSaid() throws {
    let scratch = try Scratch()
    for name in ["2026-11-23T02-51-07Z-6.1", "2026-11-24T02-51-07Z-6.1.incomplete", "2025-01-01T00-00-00Z-6.1-2", "other"] {
      try FileManager.default.createDirectory(atPath: scratch.file(name), withIntermediateDirectories: false)
    }
    try "x".write(toFile: scratch.file("2026-11-25T02-51-07Z-file"), atomically: true, encoding: .utf8)
    let dumps = try listDumps(in: scratch.path)
    #expect(dumps.map(\.status) == ["writing or cut", "unreadable", "unreadable"])
    #expect(dumps.map(\.release) == ["6.1", "6.1", "6.1-2"] && dumps.allSatisfy { $0.problem != nil && !$0.isWhole })
    let json = try #require(try JSONSerialization.jsonObject(with: Data(listText(dumps, json: true).utf8)) as? [String: Any])
    #expect((json["dumps"] as? [[String: Any]])?.first?["crash_time"] as? String == "2026-11-24T02:51:07Z")
    #expect(listText(dumps, json: false).split(separator: "\n").count == 6)
  }
}
