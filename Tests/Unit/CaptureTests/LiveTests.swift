import CoreFormat
import DumpBasics
import DumpSource
import Foundation
import PageClasses
import PageSelection
import Synchronization
import TestSupport
import Testing

@testable import Capture

/// A kernel that runs on while its memory is read: what changes is counted, and is no finding. The dump says
/// that it is live, and a conversion of it too.
@Test(arguments: [true, false]) func whatChangesInALiveKernelIsNoFinding(isLive: Bool) throws {
  let scratch = try Scratch()
  let machine = SyntheticMachine(SyntheticMachineConfiguration(.v6_1, memory: 128 << 20, seed: 2))
  let memory = try #require(machine.coverage().map(\.range).max { $0.count < $1.count })
  let middle = (memory.start + memory.count / 2) / 4096 * 4096
  let restless = try (0..<1024).map { try #require(PhysicalRange(start: middle + $0 * 4096, count: 4096)) }
  let reads = Atomic<UInt8>(0)
  let source = UnsteadySource(machine, isLive: isLive) { at, buffer in
    let number = reads.wrappingAdd(1, ordering: .relaxed).newValue
    guard let range = PhysicalRange(start: at, count: UInt64(buffer.count)) else { return }
    for place in RangeSet.overlapping(restless, range) where place.start >= at { buffer[Int(place.start - at)] = number }
  }
  let result = try save(SaveRequest(source: "", targets: [scratch.path], level: .all), from: source, QuietReporter())
  #expect(result.findings.contains { $0.contains("changed while the dump was written") } == !isLive, "\(result.findings)")
  // What else is wrong with a synthetic machine does not count here.
  var facts = try inspect(source, result.path)
  (facts.findings, facts.unreadable, facts.absent) = ([], [], AbsentRanges())
  (facts.isLive, facts.changed) = (isLive, restless)
  facts.settle(cut: false)
  #expect(facts.status == (isLive ? .complete : .findings))
  let converted = scratch.file("converted")
  _ = try convert(result.path, to: converted, format: .elf, threads: 1, QuietReporter())
  for path in [result.path, converted] {
    let facts = try #require(
      try JSONSerialization.jsonObject(with: Data(try info(path, json: true).utf8)) as? [String: Any])
    #expect(facts["live"] as? Bool == isLive)
    #expect(try #require(facts["changed_pages"] as? Int) >= 4)
    let said = try #require(facts["findings"] as? [String])
    #expect(!said.contains { $0.contains("changed while") })
    #expect(try info(path, json: false).contains("the kernel ran on while this was written") == isLive)
  }
}

/// The estimate of a machine: classes are those of a dump, and sizes near what a dump takes.
@Test func theEstimateIsNearWhatIsWritten() throws {
  let scratch = try Scratch()
  let input = scratch.file("input")
  let machine = SyntheticMachine(SyntheticMachineConfiguration(.v6_1, memory: 128 << 20, seed: 2))
  try machine.writeCore(to: input)
  let estimate = try estimate(input, threads: 1, QuietReporter())
  #expect(estimate.classes.map(\.name) == PageClass.allCases.map(\.name))
  // Three levels in all formats, and pass 1 in those that have passes.
  let formats = OutputFormat.allCases
  #expect(estimate.entries.count == 3 * formats.count + formats.count { !$0.isPaged })
  for level in [Level.header, .kern] {
    let made = try save(SaveRequest(source: input, targets: [scratch.path], level: level), QuietReporter())
    let guess = try #require(estimate.bytes(level, .elfGzip))
    #expect(guess * 2 > made.bytesWritten && guess < made.bytesWritten * 2, "\(level.name): \(guess), \(made.bytesWritten)")
  }
  let all = try #require(estimate.bytes(.all, .elfGzip))
  let kern = try #require(estimate.bytes(.kern, .elfGzip))
  #expect(all >= kern && estimate.bytes(.used, .elf) ?? 0 <= 128 << 20)
  let json = try #require(
    try JSONSerialization.jsonObject(with: Data(estimate.json().text().utf8)) as? [String: Any])
  #expect((json["sizes"] as? [[String: Any]])?.count == estimate.entries.count && json["threads"] as? Int == 1)
  #expect(estimate.text.contains("elf.gz") && estimate.text.split(separator: "\n").contains { $0.hasPrefix("kern ") })
}
