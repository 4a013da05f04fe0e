@testable import Capture
import DumpBasics
import DumpSource
import Foundation
import TestSupport
import Testing

/// The RAM that was recorded when arming, beside the program headers of the source.
@Suite struct ArmedMemoryTests {
  private let mib: UInt64 = 1 << 20
  private func range(_ start: UInt64, _ end: UInt64) throws -> PhysicalRange {
    try #require(PhysicalRange(start * mib, end * mib))
  }

  @Test func whatAgreesIsNoFinding() throws {
    let armed = ArmedMemory([try range(0, 512), try range(4096, 5120)])
    // The crash kernel's own memory is in no program header, and low memory need not be.
    let segments = [try range(1, 256), try range(320, 512), try range(4096, 5120)]
    #expect(armed.findings(segments, own: [try range(256, 320)], at: "x").isEmpty)
    // Kernel text stands twice.
    #expect(armed.findings(segments + [try range(16, 48)], own: [try range(256, 320)], at: "x").isEmpty)
  }

  @Test func memoryThatNoHeaderHasIsNamed() throws {
    let armed = ArmedMemory([try range(0, 512)])
    let findings = armed.findings([try range(1, 256), try range(320, 512)], own: [], at: "x")
    #expect(findings.map(\.place) == ["x, 0x10000000-0x13ffffff"])
    #expect(findings.first?.description.contains("not in the dump") == true)
  }

  @Test func memoryThatOnlyAHeaderHasIsNamed() throws {
    let armed = ArmedMemory([try range(0, 512)])
    let findings = armed.findings([try range(1, 512), try range(1 << 20, (1 << 20) + 1)], own: [], at: "x")
    #expect(findings.map(\.place) == ["x, 0x10000000000-0x100000fffff"])
    // Less than a page is the rounding of whoever wrote the headers.
    let edge = try #require(PhysicalRange(512 * mib, 512 * mib + 4095))
    #expect(armed.findings([try range(1, 512), edge], own: [], at: "x").isEmpty)
  }

  @Test func manyAreCounted() throws {
    let armed = ArmedMemory([try range(0, 512)])
    let segments = try (0..<100).map { try range(1024 + 2 * $0, 1025 + 2 * $0) } + [try range(1, 512)]
    let findings = armed.findings(segments, own: [], at: "x")
    #expect(findings.count == 9)
    #expect(findings.last?.description.contains("92 more") == true)
  }

  @Test func theRecordIsReadAsItWasWritten() throws {
    let scratch = try Scratch()
    let path = scratch.file("memory")
    let armed = ArmedMemory([try range(1, 512), try range(4096, 5120)])
    try armed.record.write(toFile: path, atomically: true, encoding: .utf8)
    let read = try #require(ArmedMemory(readFrom: path))
    #expect(read.record == armed.record)
    #expect(armed.record == "100000-1fffffff : System RAM\n100000000-13fffffff : System RAM\n")
    try "rubbish".write(toFile: path, atomically: true, encoding: .utf8)
    #expect(ArmedMemory(readFrom: path) == nil)
    #expect(ArmedMemory(readFrom: scratch.file("none")) == nil)
  }

  /// The whole way: what the two don't agree on stands in the dump, and all memory does.
  @Test func findingsAreInTheDump() throws {
    let scratch = try Scratch()
    let input = scratch.file("input")
    try SyntheticCore([.init(16 << 20, noise(1 << 20, seed: 5))]).write(to: input)
    var request = SaveRequest(source: input, targets: [scratch.file("out")], level: .all)
    request.format = .elf
    request.armedMemory = ArmedMemory([try range(16, 17), try range(64, 128)])
    let iomem = scratch.file("iomem")
    try "04000000-05ffffff : System RAM\n".write(toFile: iomem, atomically: true, encoding: .utf8)
    request.region.memoryMap = iomem
    let path = try save(request, QuietReporter()).path
    let findings = try inspect(try openDump(path), path).findings
    #expect(findings.filter { $0.contains("not in the dump") }.count == 1)
    #expect(findings.contains { $0.contains("0x6000000-0x7ffffff") })
  }
}
