import Capture
import CoreEncoding
import DumpBasics
import DumpSource
import Foundation
import Glibc
import TestSupport
import Testing

@testable import LinuxSystem

/// Failures of system calls. They are planned for the whole process, so no other test may run at the same
/// time: `swift test --no-parallel`.
@Suite(.serialized) struct FaultTests {
  private func core() -> SyntheticCore {
    SyntheticCore([.init(0x10_0000, noise(3 << 20, seed: 1)), .init(0x1000, noise(8192, seed: 2))])
  }

  @Test func aPageThatCanNotBeReadIsPoisonedNamedAndTheDumpGoesOn() throws {
    let scratch = try Scratch()
    let input = scratch.file("input")
    try core().write(to: input)
    // One bad page in the middle: a large read fails, then of the single pages exactly this one, in both
    // readings.
    let bad = PhysicalAddress(0x10_0000 + 100 * 4096)
    let start = try offset(of: bad, in: input)
    Faults.setUnreadable(path: input, start..<start + 4096)
    defer { Faults.setUnreadable(path: input, 0..<0) }
    var request = SaveRequest(source: input, targets: [scratch.file("out")], level: .all)
    request.threads = 2
    let result = try save(request, QuietReporter())
    #expect(result.status == .findings)
    #expect(result.findings.contains { $0.contains("0x164000") })

    let source = try openDump(scratch.file("out"))
    let range = try #require(PhysicalRange(start: bad.rawValue, count: 4096))
    #expect(source.metadata?.trailer?.unreadable == [range])
    let poison = Array("mcore:unreadable".utf8)
    #expect(try source.bytes(at: bad, count: 4096) == Array((0..<256).map { _ in poison }.joined()))
    #expect(
      try source.bytes(at: PhysicalAddress(bad.rawValue + 4096), count: 4096)
        == Array(core().segments[0].bytes[101 * 4096..<102 * 4096]))
    #expect(try verify(scratch.file("out"), threads: 1, QuietReporter()).verdict == .whole)

    // Converting makes it a gap that is named.
    let converted = try convert(scratch.file("out"), to: scratch.file("plain"), format: .elf, threads: 1, QuietReporter())
    #expect(converted.status == .findings)
    let plain = try openDump(scratch.file("plain"))
    #expect(throws: DumpError.self) { try plain.bytes(at: bad, count: 1) }
    #expect(plain.metadata?.note.leftOut == AbsentRanges([AbsentRange(range, .unreadable)]))
  }

  private func offset(of address: PhysicalAddress, in path: String) throws -> UInt64 {
    for piece in try openDump(path).coverage() where piece.range.contains(address.rawValue) {
      if case .data(let offset) = piece.kind { return offset + address.rawValue - piece.range.start }
    }
    throw DumpError("not there")
  }

  @Test(arguments: [ENOSPC, EIO, EROFS, EDQUOT])
  func aTargetThatFailsLeavesWhatWasWrittenUnderItsIncompleteName(code: Int32) throws {
    let scratch = try Scratch()
    let input = scratch.file("input")
    try core().write(to: input)
    let target = scratch.file("crash")
    #expect(mkdir(target, 0o700) == 0)
    for calls in [0, 1, 3] {
      Faults.set([.init(call: .write, after: calls, errno: code, times: 1_000_000)])
      defer { Faults.set([]) }
      // Early it is an error; once the most important part is there it is a dump that is cut short.
      if let result = try? save(SaveRequest(source: input, targets: [target], level: .all), QuietReporter()) {
        #expect(result.status == .cut)
        #expect(result.path.hasSuffix(".incomplete"))
      }
    }
    Faults.set([])
    for name in try FileManager.default.contentsOfDirectory(atPath: target) { #expect(name.hasSuffix(".incomplete")) }
  }

  @Test func aFullDiskLeavesADumpThatIsUsedAndEndsWithStatus3() throws {
    let scratch = try Scratch()
    let input = scratch.file("input")
    try core().write(to: input)
    Faults.set([.init(call: .write, after: 2, errno: ENOSPC, times: 1_000_000)])
    defer { Faults.set([]) }
    let result = try save(SaveRequest(source: input, targets: [scratch.file("out")], level: .all), QuietReporter())
    Faults.set([])
    #expect(result.status == .cut)
    #expect(result.status.exitStatus == 3)
    #expect(result.path == scratch.file("out.incomplete"))
    let source = try openDump(result.path)
    #expect(source.shortfall != nil)
    #expect(try source.bytes(at: PhysicalAddress(0x1000), count: 8192) == core().segments[1].bytes)
    #expect(try verify(result.path, threads: 1, QuietReporter()).verdict == .incomplete)
  }

  @Test func theNextTargetTakesOverWhenOneIsFull() throws {
    let scratch = try Scratch()
    let input = scratch.file("input")
    try core().write(to: input)
    Faults.set([.init(call: .write, after: 2, errno: ENOSPC)])
    defer { Faults.set([]) }
    let request = SaveRequest(source: input, targets: [scratch.file("first"), scratch.file("second")], level: .all)
    #expect(try save(request, QuietReporter()).path == scratch.file("second"))
    #expect(try verify(scratch.file("second"), threads: 1, QuietReporter()).verdict == .whole)
    #expect(FileManager.default.fileExists(atPath: scratch.file("first.incomplete")))
  }

  @Test func shortReadsAndWritesAndInterruptionsChangeNothing() throws {
    let scratch = try Scratch()
    let input = scratch.file("input")
    try core().write(to: input)
    _ = try save(SaveRequest(source: input, targets: [scratch.file("plain")], level: .all), QuietReporter())
    Faults.set([
      .init(call: .pread, after: 0, errno: nil, shortTo: 1000), .init(call: .write, after: 0, errno: nil, shortTo: 777),
    ])
    defer { Faults.set([]) }
    _ = try save(SaveRequest(source: input, targets: [scratch.file("short")], level: .all), QuietReporter())
    Faults.set([])
    #expect(
      try Data(contentsOf: URL(fileURLWithPath: scratch.file("short")))
        == Data(contentsOf: URL(fileURLWithPath: scratch.file("plain"))))
  }
}
