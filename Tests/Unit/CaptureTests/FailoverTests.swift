@testable import Capture
import CoreEncoding
import DumpBasics
import DumpSource
import Foundation
import Glibc
@testable import LinuxSystem
import TestSupport
import Testing

/// Protects: whatever goes wrong with a target, the next one gets the whole dump, and its dump.json says what
/// became of those before.
@Suite(.serialized) struct FailoverTests {
  private func input(_ scratch: Scratch, _ size: Int = 8 << 20) throws -> String {
    let input = scratch.file("input")
    try SyntheticCore([.init(0x1000, noise(size, seed: 5))]).write(to: input)
    return input
  }

  private func directory(_ scratch: Scratch, _ name: String) throws -> String {
    try FileManager.default.createDirectory(atPath: scratch.file(name), withIntermediateDirectories: true)
    return scratch.file(name)
  }

  private func attempts(_ path: String) throws -> [[String: Any]] {
    let manifest = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path + "/dump.json")))
    return (manifest as? [String: Any])?["attempts"] as? [[String: Any]] ?? []
  }

  @Test(arguments: [EIO, ENOSPC, EROFS, EDQUOT, ENXIO])
  func anErrorInTheMiddleIsToldByTheNext(code: Int32) throws {
    let scratch = try Scratch()
    var request = SaveRequest(
      source: try input(scratch), targets: [try directory(scratch, "a"), try directory(scratch, "b")], level: .all)
    request.threads = 1
    // The note, the reserve, then groups of blocks.
    Faults.set([.init(call: .write, after: 5, errno: code)])
    defer { Faults.set([]) }
    let result = try save(request, QuietReporter())
    #expect(result.path.hasPrefix(scratch.file("b")))
    #expect(try verify(result.path, threads: 1, QuietReporter()).verdict == .whole)
    let attempts = try attempts(result.path)
    #expect(attempts.count == 1)
    #expect(attempts.first?["target"] as? String == scratch.file("a"))
    #expect((attempts.first?["reason"] as? String)?.contains(String(cString: strerror(code))) == true)
    #expect(attempts.first?["bytes"] as? Int ?? 0 > 0 && attempts.first?["seconds"] as? Int != nil)
  }

  @Test func nothingIsSaidWhereTheFirstTakesIt() throws {
    let scratch = try Scratch()
    let result = try save(
      SaveRequest(source: try input(scratch), targets: [try directory(scratch, "a"), "/nowhere/x"], level: .all), QuietReporter())
    #expect(try String(contentsOfFile: result.path + "/dump.json", encoding: .utf8).contains("attempts") == false)
  }

  @Test func secretsOfACommandAreNotToldOn() throws {
    let scratch = try Scratch()
    let reporter = QuietReporter()
    let result = try save(
      SaveRequest(
        source: try input(scratch), targets: ["pipe:exit 1 # token=secret", try directory(scratch, "a")], level: .all), reporter)
    let attempts = try attempts(result.path)
    #expect(attempts.first?["target"] as? String == "pipe:exit ...")
    #expect(try !String(contentsOfFile: result.path + "/dump.json", encoding: .utf8).contains("secret"))
  }

  @Test func mirrorsGetTheSameDumpAndOneThatFailsIsNamed() throws {
    let scratch = try Scratch()
    var request = SaveRequest(source: try input(scratch), targets: [try directory(scratch, "a")], level: .all)
    request.mirrors = [try directory(scratch, "b"), scratch.file("no/such/place"), "pipe:head -c 100000 >/dev/null; exit 9"]
    let result = try save(request, QuietReporter())
    let names = try ["a", "b"].map { try FileManager.default.contentsOfDirectory(atPath: scratch.file($0)) }
    #expect(names[0].count == 1 && names[0] == names[1])
    let (one, other) = (scratch.file("a/\(names[0][0])"), scratch.file("b/\(names[0][0])"))
    #expect(result.path.contains(one) && result.path.contains(other))
    for path in [one, other] {
      #expect(try verify(path, threads: 1, QuietReporter()).verdict == .whole)
      let attempts = try attempts(path)
      #expect(attempts.compactMap { $0["target"] as? String } == [scratch.file("no/such/place"), "pipe:head ..."])
    }
    #expect(
      try Data(contentsOf: URL(fileURLWithPath: one + "/dump.json"))
        == Data(contentsOf: URL(fileURLWithPath: other + "/dump.json")))
  }

  @Test func aMirrorThatIsLeftIsEnough() throws {
    let scratch = try Scratch()
    var request = SaveRequest(source: try input(scratch), targets: ["/nowhere/at/all", try directory(scratch, "c")], level: .all)
    request.mirrors = [try directory(scratch, "b")]
    let result = try save(request, QuietReporter())
    #expect(result.path.hasPrefix(scratch.file("b")))
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.file("c")).isEmpty)
  }

  @Test func tooLittleRoomIsKnownBeforeTheFirstByte() throws {
    let scratch = try Scratch()
    let small = try directory(scratch, "small")
    guard (try? System.mount("tmpfs", on: small, type: "tmpfs", options: "size=4m")) != nil else { return }
    defer { try? System.unmount(small) }
    let result = try save(
      SaveRequest(source: try input(scratch), targets: [small, try directory(scratch, "b")], level: .all), QuietReporter())
    #expect(try verify(result.path, threads: 1, QuietReporter()).verdict == .whole)
    let attempts = try attempts(result.path)
    #expect(attempts.first?["bytes"] as? Int == 0)
    #expect((attempts.first?["reason"] as? String)?.contains("too little room") == true)
    // It fits where it compresses well.
    let zeros = scratch.file("zeros")
    try SyntheticCore([.init(0x1000, Array(repeating: Array("pattern!".utf8), count: 1 << 20).flatMap { $0 })]).write(to: zeros)
    #expect(
      try save(SaveRequest(source: zeros, targets: [small, scratch.file("b")], level: .all), QuietReporter()).path.hasPrefix(
        small))
    for name in try FileManager.default.contentsOfDirectory(atPath: small) {
      try FileManager.default.removeItem(atPath: "\(small)/\(name)")
    }
    // Where nothing else is to be had, as much as there is room for.
    let cut = try save(
      SaveRequest(source: try input(scratch), targets: [small, "/nowhere/x"], level: .all), QuietReporter())
    #expect(cut.status == .cut && cut.path.hasPrefix(small) && cut.bytesWritten > 2 << 20)
  }
}
