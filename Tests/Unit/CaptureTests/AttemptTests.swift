@testable import Capture
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
}
