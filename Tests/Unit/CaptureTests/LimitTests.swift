import Capture
import DumpBasics
import Foundation
import LinuxSystem
import PageSelection
import TestSupport
import Testing

@testable import DumpSource

@Test func limitsAreNumbersWithUnits() {
  #expect(["90", "90s", "15m", "2h", "none"].map(Limits.seconds) == [90, 90, 900, 7200, 0])
  #expect(["1", "64K", "500M", "2G", "1T", "none"].map(Limits.bytes) == [1, 65536, 500 << 20, 2 << 30, 1 << 40, 0])
  for wrong in [
    "", "0", "0s", "-1", "+1", "1.5", "s", "5 s", "5S", "1d", "18446744073709551616", "18446744073709551615h", "9999999999999m",
  ] {
    #expect(Limits.seconds(wrong) == nil, "\(wrong)")
  }
  for wrong in ["", "0", "K", "1k", "1KB", "1 G", "0x10", "4611686018427387905", "9223372036854775807T"] {
    #expect(Limits.bytes(wrong) == nil, "\(wrong)")
  }
}

/// Memory that is zero in runs long enough for the hole, and noise.
private func machine() -> SyntheticCore {
  SyntheticCore([
    .init(0x10_0000, noise(3 << 20, seed: 1) + [UInt8](repeating: 0, count: 4 << 20) + noise(5 << 20, seed: 2)),
    .init(0x1000, noise(8192, seed: 3)),
  ])
}

@Test(arguments: ["elf.gz", "elf"]) func aSizeLimitEndsTheDumpAfterAWholeGroupAndNamesWhatIsMissing(format: String) throws {
  let scratch = try Scratch()
  let core = machine()
  try core.write(to: scratch.file("input"))
  let target = scratch.file("crash")
  try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
  var request = SaveRequest(source: scratch.file("input"), targets: [target, scratch.file("second")], level: .all)
  request.format = try #require(.init(rawValue: format))
  request.limits.bytes = format == "elf" ? 7 << 20 : 4 << 20
  let result = try save(request, QuietReporter())
  #expect(result.status == .cut)
  #expect(result.bytesWritten <= request.limits.bytes)
  #expect(!FileManager.default.fileExists(atPath: scratch.file("second.incomplete")), "a limit holds for every target")

  let source = try openDump(result.path)
  let shortfall = try #require(source.shortfall)
  #expect(shortfall.present % 983_040 == 0)
  let manifest = try String(contentsOfFile: result.path + "/dump.json", encoding: .utf8)
  #expect(manifest.contains("\"status\": \"cut\"") || manifest.contains("\"status\":\"cut\""))
  // Of every page: it reads as it is, or it can't be read. Never as zeros that it does not have.
  var missing = 0
  for segment in core.segments {
    for offset in stride(from: 0, to: segment.bytes.count, by: 4096) {
      let page = try? source.bytes(at: PhysicalAddress(segment.physical + UInt64(offset)), count: 4096)
      if let page { #expect(page == Array(segment.bytes[offset..<offset + 4096])) } else { missing += 1 }
    }
  }
  #expect(missing > 0)
  let named = source.coverage().filter { $0.kind == .cut }.reduce(0) { $0 + $1.range.count }
  #expect(named == UInt64(missing) * 4096)
  #expect(manifest.contains("cut_off"))
}

@Test func theHoleIsKnownFromTheHeaderOn() throws {
  let scratch = try Scratch()
  let core = machine()
  try core.write(to: scratch.file("input"))
  let whole = scratch.file("whole")
  _ = try save(
    {
      var request = SaveRequest(source: scratch.file("input"), targets: [whole], level: .all)
      request.format = .elf
      return request
    }(), QuietReporter())
  // Nothing but the header and the first pages.
  let cut = scratch.file("cut")
  try Data(contentsOf: URL(fileURLWithPath: whole)).prefix(20_000).write(to: URL(fileURLWithPath: cut))
  let source = try openDump(cut)
  let zeros = try source.bytes(at: PhysicalAddress(0x10_0000 + 4 << 20), count: 4096)
  #expect(zeros == [UInt8](repeating: 0, count: 4096))
  #expect(throws: DumpError.self) { try source.bytes(at: PhysicalAddress(0x10_0000 + 9 << 20), count: 4096) }
  #expect(try verify(cut, threads: 1, QuietReporter()).verdict == .incomplete)
}

/// Zeros and copies are looked for before the first byte: where all of the time is gone by then, pass 1 is
/// written without.
@Test(arguments: [Level.kern, .used, .all]) func aTimeLimitEndsPlanningAndPass1IsWritten(level: Level) throws {
  let scratch = try Scratch()
  let machine = SyntheticMachine(SyntheticMachineConfiguration(.v6_1, memory: 128 << 20, seed: 3))
  var request = SaveRequest(source: "", targets: [scratch.file("cut")], level: level)
  request.limits.seconds = 1
  // Its memory takes a second to read, as soon as much of it is read at a time.
  let end = System.monotonicNanoseconds + 1_100_000_000
  let slow = UnsteadySource(machine) { _, buffer in while buffer.count >= 64 << 10, System.monotonicNanoseconds < end {} }
  let result = try save(request, from: slow, QuietReporter())
  #expect(result.status == .cut)
  let source = try openDump(result.path)
  let note = try #require(source.metadata).note
  #expect(try #require(source.shortfall).present >= note.passEnds[0])
  // What makes the dump smaller is given up; which pages are in use is found out all the same.
  #expect(note.shared.isEmpty && note.holeSize == 0)
  #expect(note.leftOut.isEmpty == (level == .all))
}
