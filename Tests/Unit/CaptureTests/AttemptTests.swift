@testable import Capture
import CrashedKernel
import DumpBasics
import DumpSource
import Foundation
import Glibc
@testable import LinuxSystem
import TestSupport
import Testing

/// One attempt at a target, apart from the chain of them.
@Suite(.serialized) struct AttemptTests {
  private func prepared(_ scratch: Scratch, _ change: (inout SaveRequest) -> Void = { _ in }) throws -> PreparedCapture {
    let input = scratch.file("input")
    try SyntheticCore([.init(0x1000, noise(16 << 20, seed: 5))]).write(to: input)
    var request = SaveRequest(source: input, targets: [], level: .all)
    change(&request)
    return try PreparedCapture(request, try openDump(input), QuietReporter())
  }

  @Test func aWholeDumpHasNoReason() throws {
    let scratch = try Scratch()
    let outcome = Attempt(try prepared(scratch), scratch.file("out")).run()
    #expect(outcome.reason == nil && !outcome.endedByLimit)
    #expect(outcome.result?.path == scratch.file("out"))
    #expect(outcome.result?.status != .cut)
    // Trailer and footer come behind the groups that are counted.
    #expect(outcome.bytes > 16 << 20 && outcome.bytes <= outcome.result?.bytesWritten ?? 0)
    #expect(outcome.duration > 0)
  }

  @Test func aTargetThatCanNotBeOpenedReachesNothing() throws {
    let scratch = try Scratch()
    let outcome = Attempt(try prepared(scratch), scratch.file("no/such/place")).run()
    #expect(outcome.reason?.kind == .usage)
    #expect(outcome.result == nil && outcome.bytes == 0)
    #expect(outcome.target == scratch.file("no/such/place"))
  }

  @Test func aFullDiskLeavesWhatItReached() throws {
    let scratch = try Scratch()
    let capture = try prepared(scratch)
    Faults.set([.init(call: .write, after: 6, errno: ENOSPC, times: 1_000_000)])
    let outcome = Attempt(capture, scratch.file("out")).run()
    Faults.set([])
    #expect(outcome.reason?.kind == .full)
    #expect(outcome.result?.status == .cut && outcome.result?.path == scratch.file("out.incomplete"))
    #expect(outcome.bytes > 0 && outcome.bytes == outcome.result?.bytesWritten)
    // The next one starts from the same plan.
    #expect(Attempt(capture, scratch.file("second")).run().reason == nil)
  }

  @Test func aLimitIsTold() throws {
    let scratch = try Scratch()
    let outcome = Attempt(try prepared(scratch) { $0.limits.bytes = 4 << 20 }, scratch.file("out")).run()
    #expect(outcome.endedByLimit)
    #expect(outcome.result?.status == .cut)
  }

  /// What a witness says takes seconds: it is asked once, in a dump that is begun.
  @Test func theWitnessIsAskedWhenTheTargetIsOpen() throws {
    let scratch = try Scratch()
    let asked = scratch.file("asked")
    let prepared = try prepared(scratch) { $0.witness = LookingWitness(directory: scratch.file("there"), note: asked) }
    #expect(!FileManager.default.fileExists(atPath: asked))
    try FileManager.default.createDirectory(atPath: scratch.file("there"), withIntermediateDirectories: false)
    let outcome = Attempt(prepared, scratch.file("there")).run()
    #expect(try String(contentsOfFile: asked, encoding: .utf8) == "begun")
    let path = try #require(outcome.result?.path)
    #expect(try String(contentsOfFile: path + "/seen.txt", encoding: .utf8) == "1")
    #expect(
      try inspect(try openDump(path + "/vmcore.elf.gz"), path + "/vmcore.elf.gz").findings.contains("the witness was asked"))
  }
}

/// Notes when it is asked, and refuses to be asked again.
private struct LookingWitness: KernelWitness {
  let directory: String
  let note: String

  func explain(_ kernel: CrashedKernel) -> Explanation {
    var explanation = Explanation()
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    let isFirst = !FileManager.default.fileExists(atPath: note)
    try? (names.contains { $0.hasSuffix(".incomplete") } ? "begun" : "too early").write(
      toFile: note, atomically: true, encoding: .utf8)
    explanation.files = [("seen.txt", Array((isFirst ? "1" : "again").utf8))]
    explanation.findings = ["the witness was asked"]
    return explanation
  }
}
