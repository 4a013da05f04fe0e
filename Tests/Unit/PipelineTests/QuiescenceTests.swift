import CoreFormat
import DumpBasics
import DumpPlan
import DumpSource
import DumpTarget
import PageSelection
import Synchronization
import TestSupport
import Testing
import Workers

@testable import Pipeline

/// Takes what is written and throws it away.
final class NoSink: DumpSink {
  let name = "nowhere"
  func write(_ bytes: UnsafeRawBufferPointer) throws(DumpError) {}
  func skip(_ count: UInt64) throws(DumpError) {}
  func finish() throws(DumpError) {}
  func cut(to size: UInt64) throws(DumpError) {}
}

private func outcome(_ source: any DumpSource) throws -> Pipeline.Outcome {
  let work = OrderedWork(threads: 2)
  let selection = PageSelection(.all, source, witnesses: [], pageSize: .fourKiB)
  let zeros = try ZeroScan(selection.kept.map(\.range), source, .fourKiB, work) { _ in }
  let plan = try DumpPlan(selection, source, zeros: zeros, tool: "test", crashTime: 0, findings: [])
  return try Pipeline(plan, .elfGzip, work).run(source, to: NoSink()) { _, _ in }
}

@Suite struct Quiescence {
  private let machine = SyntheticMachine(SyntheticMachineConfiguration(.v6_1, memory: 128 << 20, seed: 2))

  @Test func memoryThatHoldsStillIsSampledAndFoundUnchanged() throws {
    let outcome = try outcome(machine)
    #expect((QuiescenceSample.limit / 2...QuiescenceSample.limit).contains(outcome.sampledPages))
    #expect(outcome.changed.isEmpty)
  }

  /// A network card writes to its ring while the dump is made.
  @Test func pagesThatADeviceStillWritesToAreFound() throws {
    let memory = try #require(machine.coverage().map(\.range).max { $0.count < $1.count })
    // A stretch of 4 MiB of which every page changes: some of the sample lie in it.
    let restless = try (0..<1024).map { page in
      try #require(PhysicalRange(start: (memory.start + memory.count / 2) / 4096 * 4096 + page * 4096, count: 4096))
    }
    let reads = Atomic<UInt8>(0)
    let outcome = try outcome(
      UnsteadySource(machine) { at, buffer in
        let number = reads.wrappingAdd(1, ordering: .relaxed).newValue
        guard let range = PhysicalRange(start: at, count: UInt64(buffer.count)) else { return }
        for place in RangeSet.overlapping(restless, range) where place.start >= at { buffer[Int(place.start - at)] = number }
      })
    #expect(!outcome.changed.isEmpty)
    let bounds = try #require(PhysicalRange(restless[0].start, restless[1023].end))
    #expect(outcome.changed.allSatisfy { bounds.intersection($0) == $0 })
    #expect(outcome.changed.reduce(0) { $0 + $1.count } / 4096 >= 4)
  }
}
