import Capture
import CoreEncoding
import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import Reading

/// Reports and signatures that come after the dump.
@Suite struct MissingReportTests {
  /// A dump directory of ours, saved without a witness, as mcore-capture does.
  private func saved(_ scratch: Scratch) throws -> ListedDump {
    try SyntheticCore([.init(0x1000, noise(40_000, seed: 3))]).write(to: scratch.file("core"))
    try FileManager.default.createDirectory(atPath: scratch.file("crash"), withIntermediateDirectories: false)
    _ = try save(SaveRequest(source: scratch.file("core"), targets: [scratch.file("crash")], level: .all), QuietReporter())
    return try #require(try listDumps(in: scratch.file("crash")).first)
  }

  private func object(_ path: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path))) as? [String: Any])
  }

  @Test func aDumpWithoutAReportGetsOne() throws {
    let scratch = try Scratch()
    let dump = try saved(scratch)
    #expect(dump.signature == nil)
    let before = try object("\(dump.path)/dump.json")
    #expect(try writeMissingReport(dump))
    for name in ["report.txt", "report.json"] {
      let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(dump.path)/\(name)"))
      #expect(bytes.count > 100)
      let mode = try FileManager.default.attributesOfItem(atPath: "\(dump.path)/\(name)")[.posixPermissions] as? Int
      #expect(mode == 0o600)
      let after = try object("\(dump.path)/dump.json")
      let entry = (after["files"] as? [String: [String: Any]])?[name]
      #expect(entry?["bytes"] as? Int == bytes.count)
      #expect(entry?["sha256"] as? String == Digest.of(Array(bytes)))
    }
    // All else in the manifest stays as it was.
    var after = try object("\(dump.path)/dump.json")
    // There is no function in memory of noise, and so no signature: real dumps are in test_report.py.
    #expect(after["signature"] as? [String: Any] == nil)
    (after["signature"], after["types"]) = (nil, nil)
    var files = try #require(after["files"] as? [String: Any])
    (files["report.txt"], files["report.json"]) = (nil, nil)
    after["files"] = files
    #expect(NSDictionary(dictionary: after) == NSDictionary(dictionary: before))
    // Once is enough.
    #expect(try !writeMissingReport(dump))
    #expect(try listDumps(in: scratch.file("crash")).first?.signature == nil)
    #expect(try FileManager.default.contentsOfDirectory(atPath: dump.path).allSatisfy { !$0.hasSuffix(".new") })
  }

  @Test func whatIsNotOursOrNotFinishedIsLeftAlone() throws {
    let scratch = try Scratch()
    let dump = try saved(scratch)
    var other = dump
    other.isOurs = false
    #expect(try !writeMissingReport(other))
    var cut = dump
    cut.status = "cut"
    #expect(try !writeMissingReport(cut))
    try "x".write(toFile: dump.path + "/notes", atomically: true, encoding: .utf8)
    #expect(try !writeMissingReport(dump))
    try FileManager.default.removeItem(atPath: dump.path + "/notes")
    // Given up: the same dump is finished.
    try "x".write(toFile: dump.path + "/INCOMPLETE.txt", atomically: true, encoding: .utf8)
    #expect(try writeMissingReport(cut))
  }

  @Test func aManifestOfAnotherFormIsNotTouched() throws {
    let scratch = try Scratch()
    let dump = try saved(scratch)
    for text in ["", "{}", "{\n  \"version\": \"2.0\"\n}\n", "{\n  \"version\": \"1.0\"", "x"] {
      #expect(ManifestText(text) == nil)
    }
    try "{}".write(toFile: dump.path + "/dump.json", atomically: true, encoding: .utf8)
    #expect(try writeMissingReport(dump))
    #expect(try String(contentsOfFile: dump.path + "/dump.json", encoding: .utf8) == "{}")
  }

  @Test func membersAreAddedOnce() throws {
    var text = try #require(ManifestText("{\n  \"version\": \"1.0\",\n  \"files\": {\n    \"a\": 1\n  }\n}\n"))
    text.add([("signature", .object([("hash", .string("0123456789abcdef"))])), ("version", .null)])
    text.addFile("report.txt", 3, nil)
    let once = text.text
    text.add([("signature", .null)])
    text.addFile("report.txt", 4, nil)
    #expect(text.text == once)
    #expect(text.signature == "0123456789abcdef")
    let object = try JSONSerialization.jsonObject(with: Data(once.utf8)) as? [String: Any]
    #expect(object?["version"] as? String == "1.0")
    #expect((object?["files"] as? [String: Any])?.count == 2)
  }

  @Test(arguments: ["0123456789abcdeg", "0123", "", "0123456789ABCDEF"]) func aSignatureIsSixteenHexDigits(_ hash: String) {
    #expect(ManifestText("{\n  \"version\": \"1.0\",\n  \"signature\": {\n    \"hash\": \"\(hash)\"\n  }\n}\n")?.signature == nil)
  }

  @Test func saveWritesTheReportWithTheDump() throws {
    let scratch = try Scratch()
    try SyntheticCore([.init(0x1000, noise(40_000, seed: 3))]).write(to: scratch.file("core"))
    try FileManager.default.createDirectory(atPath: scratch.file("crash"), withIntermediateDirectories: false)
    var request = SaveRequest(source: scratch.file("core"), targets: [scratch.file("crash")], level: .all)
    request.witness = ReportWitness(writesFiles: true)
    let path = try save(request, QuietReporter()).path
    let manifest = try object(path + "/dump.json")
    #expect(manifest["signature"] as? [String: Any] == nil)
    #expect((manifest["files"] as? [String: Any])?["report.json"] != nil)
    #expect(try String(contentsOfFile: path + "/report.txt", encoding: .utf8).hasPrefix("What crashed\n"))
    // `info` says the same of it.
    let said = try info(path, json: true, witness: ReportWitness())
    let facts = try #require(try JSONSerialization.jsonObject(with: Data(said.utf8)) as? [String: Any])
    #expect(facts["signature"] is NSNull)
  }
}
