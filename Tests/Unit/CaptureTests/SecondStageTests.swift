import Capture
import DumpBasics
import DumpSource
import Foundation
import SoftBoot
import TestSupport
import Testing

/// The second stage over a file that stands for the memory of the machine.
@Suite struct SecondStageTests {
  private let scratch: Scratch
  private let memory: DeviceMemory
  private let dump: [UInt8]
  private let window = PhysicalRange(start: 4 << 20, count: 8 << 20)

  init() throws {
    scratch = try Scratch()
    _ = FileManager.default.createFile(atPath: scratch.file("memory"), contents: Data(noise(16 << 20, seed: 8)))
    memory = try DeviceMemory(scratch.file("memory"))
    let core = SyntheticCore([.init(0x10_0000, noise(3 << 20, seed: 1)), .init(0x1000, noise(8192, seed: 2))])
    try core.write(to: scratch.file("core"))
    let request = SaveRequest(source: scratch.file("core"), targets: [scratch.file("direct")], level: .all)
    // Whole; a core without a log has a finding.
    #expect(try save(request, QuietReporter()).status == .findings)
    dump = Array(try Data(contentsOf: URL(fileURLWithPath: scratch.file("direct"))))
    try FileManager.default.createDirectory(atPath: scratch.file("crash"), withIntermediateDirectories: false)
  }

  private func write(_ extents: [PhysicalRange?]? = nil, change: (inout RegionIdentity) -> Void = { _ in }) throws {
    var identity = RegionIdentity()
    identity.bootID = RegionID("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0") ?? .none
    identity.release = "6.1.0-test"
    identity.crashTime = 1_763_866_267
    change(&identity)
    let writer = try RegionWriter(
      memory, RegionExtents((extents ?? [window]).compactMap { $0 }), identity, fitted: false)
    do {
      try dump.lent { (bytes) throws(DumpError) in try writer.write(bytes) }
      _ = try writer.complete()
    } catch { writer.abandon() }
  }

  private func request(_ targets: [String]? = nil) -> SecondStageRequest {
    var expectation = RegionExpectation()
    expectation.bootID = RegionID("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
    return SecondStageRequest(
      windows: [window].compactMap { $0 }, expectation: expectation, targets: targets ?? [scratch.file("crash")])
  }

  private func region() throws -> Region { try findRegion(memory, in: request().windows, expecting: request().expectation) }
  private func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }
  private func manifest(_ directory: String) throws -> [String: Any] {
    try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: directory + "/dump.json"))) as? [String: Any])
  }

  @Test func aDumpInMemoryIsSavedLikeAnyOther() throws {
    try write()
    let result = try #require(try saveRegion(memory, request(), QuietReporter()))
    let directory = scratch.file("crash/2025-11-23T02-51-07Z-6.1.0-test")
    #expect(result.status == .findings && result.path == directory && result.bytesWritten == UInt64(dump.count))
    #expect(try bytes(directory + "/vmcore.elf.gz") == dump)
    #expect(try verify(directory, threads: 1, QuietReporter()).verdict == .whole)
    let manifest = try manifest(directory)
    #expect(manifest["status"] as? String == "findings")
    let travelled = try #require(manifest["travelled"] as? [String: Any])
    #expect(travelled["by"] as? String == "memory" && travelled["attempts"] as? Int == 1)
    // Saved, wiped, and nothing to do any more.
    #expect(try region().head.state == .saved)
    let memory = try bytes(scratch.file("memory"))
    #expect(memory[4 << 20 + 4096..<6 << 20 - 4096].allSatisfy { $0 == 0 })
    #expect(try saveRegion(self.memory, request(), QuietReporter()) == nil)
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.file("crash")).count == 1)
  }

  @Test func theManifestIsThatOfADirectDumpAndHowItTravelled() throws {
    var direct = SaveRequest(source: scratch.file("core"), targets: [scratch.file("crash")], level: .all)
    direct.threads = 1
    var expected = try manifest(try save(direct, QuietReporter()).path)
    try write()
    var found = try manifest(try #require(try saveRegion(memory, request(), QuietReporter())).path)
    #expect(found.removeValue(forKey: "travelled") != nil)
    #expect(found["files"] as? NSDictionary == expected["files"] as? NSDictionary)
    for key in ["files"] {
      expected.removeValue(forKey: key)
      found.removeValue(forKey: key)
    }
    #expect(found as NSDictionary == expected as NSDictionary)
  }

  @Test func theNextTargetTakesOver() throws {
    try write()
    let result = try saveRegion(memory, request([scratch.file("no/where"), scratch.file("crash")]), QuietReporter())
    #expect(result?.status == .findings)
  }

  @Test func attemptsThatNeverEndComeToAnEndAndTheDumpStays() throws {
    try write()
    // What a boot leaves behind that ended in the midst of it.
    for _ in 1...3 { _ = try region().countAttempt() }
    #expect { try saveRegion(memory, request(), QuietReporter()) } throws: {
      "\($0)".contains("begun 3 times") && "\($0)".contains("attempts=0")
    }
    #expect(try region().check().isWhole && region().isUnsaved)
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.file("crash")) == [])
    // Somebody wants it all the same.
    var wanted = request()
    wanted.attemptLimit = 0
    #expect(try saveRegion(memory, wanted, QuietReporter())?.path.hasSuffix("6.1.0-test") == true)
    #expect(try region().head.state == .saved)
  }

  /// However often: targets can be mended.
  @Test func anAttemptThatFailsInOrderDoesNotCount() throws {
    try write()
    for _ in 1...5 {
      #expect(throws: DumpError.self) { try saveRegion(memory, request([scratch.file("no/where")]), QuietReporter()) }
      #expect(try region().head.attempts == 0)
    }
    #expect(try saveRegion(memory, request(), QuietReporter()) != nil)
  }

  @Test func whatIsDamagedIsReportedAndTheRestIsSaved() throws {
    try write()
    // A byte in the sixth chunk.
    try memory.write([try memory.bytes(at: 4 << 20 + 8192 + 350_000, count: 1)[0] ^ 4], at: 4 << 20 + 8192 + 350_000)
    let result = try #require(try saveRegion(memory, request(), QuietReporter()))
    #expect(result.status == .cut && result.path.hasSuffix("6.1.0-test.incomplete"))
    #expect(result.findings == ["bytes 327680 to 393215 of the dump file are damaged or missing: zeros stand there"])
    let saved = try bytes(result.path + "/vmcore.elf.gz")
    #expect(saved.count == dump.count)
    #expect(Array(saved[..<327_680]) == Array(dump[..<327_680]) && Array(saved[393_216...]) == Array(dump[393_216...]))
    #expect(saved[327_680..<393_216].allSatisfy { $0 == 0 })
    // Index and trailer lead to all that is whole.
    let source = try openDump(result.path)
    #expect(try source.bytes(at: PhysicalAddress(0x1000), count: 8192) == noise(8192, seed: 2))
    #expect(try verify(result.path, threads: 1, QuietReporter()).verdict == .corrupt)
    #expect(try manifest(result.path)["status"] as? String == "cut")
    let note = String(decoding: try bytes(result.path + "/INCOMPLETE.txt"), as: UTF8.self)
    #expect(note.contains("bytes 327680 to 393215"))
    #expect(try region().head.state == .saved)
  }

  @Test func withoutHeadsTheDumpItselfShowsThatItIsWhole() throws {
    try write()
    let extents = try RegionExtents([window].compactMap { $0 })
    let zeros = [UInt8](repeating: 0, count: 4096)
    try memory.write(zeros, at: 4 << 20)
    try memory.write(zeros, at: 12 << 20 - 4096)
    #expect(extents.units == 4)
    let result = try #require(try saveRegion(memory, request(), QuietReporter()))
    #expect(result.status == .findings && !result.path.hasSuffix(".incomplete"))
    #expect(try bytes(result.path + "/vmcore.elf.gz") == dump)
    #expect(result.findings.contains("the dump's own checksums show that it is whole"))
  }

  @Test func aDumpThatDidNotFitIsSavedAsCut() throws {
    try write([PhysicalRange(start: 4 << 20, count: 2 << 20)])
    let result = try #require(try saveRegion(memory, request(), QuietReporter()))
    #expect(result.status == .cut && result.bytesWritten == RegionLayout.payloadSize)
    #expect(try bytes(result.path + "/vmcore.elf.gz") == Array(dump[..<Int(RegionLayout.payloadSize)]))
    #expect(try openDump(result.path).shortfall != nil)
  }

  @Test func aMissingExtentStaysForAnotherAttempt() throws {
    try write([PhysicalRange(start: 4 << 20, count: 2 << 20), PhysicalRange(start: 8 << 20, count: 2 << 20)])
    var partial = request()
    partial.windows = [PhysicalRange(start: 4 << 20, count: 2 << 20)].compactMap { $0 }
    #expect(try saveRegion(memory, partial, QuietReporter())?.status == .cut)
    #expect(try region().isUnsaved)
    #expect(try saveRegion(memory, request(), QuietReporter())?.status == .findings)
    #expect(try !region().isUnsaved)
  }

  @Test func aNameThatLeadsElsewhereIsNotTaken() throws {
    try write { $0.fileName = "../../escaped" }
    let result = try #require(try saveRegion(memory, request(), QuietReporter()))
    #expect(try FileManager.default.contentsOfDirectory(atPath: result.path).contains("vmcore.elf.gz"))
    #expect(!FileManager.default.fileExists(atPath: scratch.file("escaped")))
  }

  @Test func anotherBootsDumpIsRefusedAndStays() throws {
    try write { $0.bootID = .none }
    #expect { try saveRegion(memory, request(), QuietReporter()) } throws: { "\($0)".contains("is refused: it is of boot") }
  }
}
