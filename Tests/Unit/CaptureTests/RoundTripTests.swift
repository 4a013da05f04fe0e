import Capture
import CoreEncoding
import CoreFormat
import DumpBasics
import DumpSource
import Foundation
import TestSupport
import Testing

/// Says nothing, and keeps what it was told.
/// Writes `core` with everything in it; returns what was told and the file's path.
func saved(
  _ core: SyntheticCore, _ scratch: Scratch, format: String = "elf.gz", speed: Speed = .balanced, threads: Int = 2
) throws -> (
  SaveResult, String
) {
  let input = scratch.file("input-\(UUID().uuidString)")
  try core.write(to: input)
  let out = scratch.file("out-\(UUID().uuidString)")
  var request = SaveRequest(source: input, targets: [out], level: .all)
  request.format = try #require(.init(rawValue: format))
  request.speed = speed
  request.threads = threads
  return (try save(request, QuietReporter()), out)
}

/// Every byte of every segment of `core` is in the dump at `path`, by physical address. Memory there is whole
/// units of `unit` bytes.
func expectSameMemory(_ core: SyntheticCore, _ path: String, unit: UInt64 = 1) throws {
  let source = try openDump(path)
  for segment in core.segments where !segment.bytes.isEmpty {
    let found = try source.bytes(at: PhysicalAddress(segment.physical), count: segment.bytes.count)
    #expect(found == segment.bytes)
  }
  let total = RangeSet.joined(
    core.segments.compactMap {
      PhysicalRange($0.physical / unit * unit, ($0.physical + $0.memorySize + unit - 1) / unit * unit)
    })
  #expect(RangeSet.joined(source.coverage().map(\.range)) == total)
}

private let zeros = [UInt8](repeating: 0, count: 1)

/// A machine with everything that is odd: a partial page, zeros long and short, noise, text under a second
/// address.
func oddMachine() -> SyntheticCore {
  let text = noise(300 * 4096, seed: 3)
  let low = noise(0x9ec00 - 0x1000, seed: 1)
  let mixed =
    noise(70_000, seed: 5) + [UInt8](repeating: 0, count: 5 << 20) + noise(4096 * 3, seed: 6)
    + [UInt8](repeating: 0, count: 4096 * 40) + noise(100, seed: 7)
  return SyntheticCore([
    .init(0x200_0000, virtual: 0xffff_ffff_8100_0000, text),
    .init(0x1000, low),
    .init(0x10_0000, mixed),
    .init(0x1f0_0000, [UInt8](repeating: 1, count: 0x10_0000) + text + [UInt8](repeating: 0, count: 40 << 20)),
  ])
}

@Test(arguments: ["elf.gz", "elf"])
func everyByteOfAnOddMachineComesBack(format: String) throws {
  let scratch = try Scratch()
  let core = oddMachine()
  let (result, out) = try saved(core, scratch, format: format)
  // The synthetic kernel has no page tables, and that is said; nothing else is wrong.
  #expect(result.findings.allSatisfy { $0.contains("VMCOREINFO") || $0.contains("kernel") })
  try expectSameMemory(core, out)
  #expect(try verify(out, threads: 2, QuietReporter()).verdict == .whole)
}

@Test func theBytesAreTheSameForAnyNumberOfThreads() throws {
  let scratch = try Scratch()
  let first = try Data(contentsOf: URL(fileURLWithPath: saved(oddMachine(), scratch, threads: 1).1))
  for threads in [2, 3, 8] {
    #expect(try Data(contentsOf: URL(fileURLWithPath: saved(oddMachine(), scratch, threads: threads).1)) == first)
  }
}

@Test func longZeroRunsCostNothingAndShareOneHole() throws {
  let scratch = try Scratch()
  let (_, out) = try saved(
    SyntheticCore([.init(0x10_0000, noise(4096, seed: 1)), .init(0x100_0000, [UInt8](repeating: 0, count: 200 << 20))]), scratch,
    format: "elf")
  let source = try openDump(out)
  let zeros = source.segments.filter { $0.physical.start >= 0x100_0000 }
  #expect(Set(zeros.map(\.fileOffset)).count == 1)
  #expect(zeros.count == 13)
  #expect(zeros.allSatisfy { $0.fileSize == $0.physical.count && $0.physical.count <= 16 << 20 })
  let blocks = try FileManager.default.attributesOfItem(atPath: out)[.size] as? Int
  #expect(try #require(blocks) < 18 << 20)
}

/// Bytes of memory, zeros that share the hole, and less than two pages across a border.
@Test(arguments: [
  (0x10_0000, noise(0x2800, seed: 1)), (0x10_0000, [UInt8](repeating: 0, count: 4 << 20)), (0x10_0800, noise(0x900, seed: 2)),
])
func aSingleSegmentBecomesTwoOrCrashIgnoresItsBounds(address: Int, content: [UInt8]) throws {
  let scratch = try Scratch()
  let core = SyntheticCore([.init(UInt64(address), content)])
  let (_, out) = try saved(core, scratch, format: "elf")
  #expect(try openDump(out).segments.count == 2)
  try expectSameMemory(core, out)
}

/// A kernel that kexec started ends its System RAM inside a page, where setup_data lies, and begins it again
/// behind that: /proc/vmcore of 6.12 then has three program headers in one page. It is one page, and not
/// zero.
@Test(arguments: ["elf.gz", "elf"])
func programHeadersThatShareAPageCountItOnce(format: String) throws {
  let scratch = try Scratch()
  let core = SyntheticCore([
    .init(0x10_0000, noise(0x3000, seed: 1) + [UInt8](repeating: 0, count: 0x200)),
    .init(0x10_3200, noise(0x10, seed: 2)),
    .init(0x10_3210, [UInt8](repeating: 0, count: 0x1df0)),
  ])
  let (_, out) = try saved(core, scratch, format: format)
  try expectSameMemory(core, out)
  let check = try verify(out, threads: 1, QuietReporter())
  #expect(check.verdict == .whole, "\(check.lines)")
}

@Test func moreThan65534ProgramHeadersGoInAndOut() throws {
  let scratch = try Scratch()
  let content = [UInt8](repeating: 9, count: 16)
  let core = SyntheticCore((0..<66_000).map { .init(UInt64($0) << 13, $0 % 1000 == 0 ? noise(4096, seed: UInt64($0)) : content) })
  for format in ["elf", "elf.gz"] {
    let (_, out) = try saved(core, scratch, format: format)
    let source = try openDump(out)
    #expect(source.segments.count == 66_000)
    for index in stride(from: 0, to: 66_000, by: 1000) {
      #expect(try source.bytes(at: PhysicalAddress(UInt64(index) << 13), count: 4096) == core.segments[index].bytes)
    }
    #expect(try verify(out, threads: 2, QuietReporter()).verdict == .whole)
  }
}

@Test func memoryThatASourcePromisesWithoutDataReadsAsZeros() throws {
  let scratch = try Scratch()
  let core = SyntheticCore([
    .init(0x10_0000, noise(4096, seed: 1), memorySize: 64 << 20), .init(0x1000, noise(4096, seed: 2)),
  ])
  let (_, out) = try saved(core, scratch)
  try expectSameMemory(core, out)
  #expect(try openDump(out).bytes(at: PhysicalAddress(0x20_0000), count: 4096) == [UInt8](repeating: 0, count: 4096))
  #expect(try Data(contentsOf: URL(fileURLWithPath: out)).count < 200_000)
}

@Test func convertingThereAndBackGivesTheSameFile() throws {
  let scratch = try Scratch()
  let (_, packed) = try saved(oddMachine(), scratch)
  let (plain, back) = (scratch.file("plain"), scratch.file("back"))
  _ = try convert(packed, to: plain, format: .elf, threads: 2, QuietReporter())
  _ = try convert(plain, to: back, format: .elfGzip, threads: 1, QuietReporter())
  #expect(try Data(contentsOf: URL(fileURLWithPath: back)) == Data(contentsOf: URL(fileURLWithPath: packed)))
}

/// A machine in which the same files are in memory several times, in several passes: what the dump has once
/// comes back everywhere, and writing it anew finds the same.
@Test(arguments: ["elf.gz", "elf"]) func memoryThatStandsInTheDumpOnceComesBackEverywhere(format: String) throws {
  let scratch = try Scratch()
  let (file, other) = (noise(90 * 4096, seed: 21), noise(33 * 4096, seed: 22))
  let core = SyntheticCore([
    .init(0x200_0000, virtual: 0xffff_ffff_8100_0000, file + noise(4096, seed: 25)),
    .init(0x1000, other),
    .init(0x10_0000, noise(17 * 4096, seed: 23) + [UInt8](repeating: 0, count: 4 << 20) + other + file),
    .init(
      0x1f0_0000,
      noise(0x10_0000, seed: 24) + file + noise(4096, seed: 25) + [UInt8](repeating: 0, count: 3 << 20) + other + file + file),
  ])
  let (_, out) = try saved(core, scratch, format: format)
  try expectSameMemory(core, out)
  let check = try verify(out, threads: 2, QuietReporter())
  #expect(check.verdict == .whole, "\(check.lines)")
  let source = try openDump(out)
  // Besides the originals 3 copies of `file` and 2 of `other`; the second address of 0x2000000 is no copy.
  let shared = source.sharedMemory().reduce(0) { $0 + $1.range.count } / 4096
  #expect(shared == 336)
  #expect(try info(out, json: true).contains("\"shared_pages\": 336"))

  let (first, second) = (scratch.file("first"), scratch.file("second"))
  _ = try convert(out, to: first, format: format == "elf" ? .elfGzip : .elf, threads: 2, QuietReporter())
  _ = try convert(first, to: second, format: try #require(.init(rawValue: format)), threads: 1, QuietReporter())
  try expectSameMemory(core, first)
  #expect(try Data(contentsOf: URL(fileURLWithPath: second)) == Data(contentsOf: URL(fileURLWithPath: out)))
}

/// The note's list of shared memory is a claim: what the program headers do not say too is not believed, nor
/// added up.
@Test func aNoteThatClaimsToShareWhatIsNotSharedIsNotBelieved() throws {
  let scratch = try Scratch()
  var core = SyntheticCore([
    .init(0x10_0000, noise(64 * 4096, seed: 1)), .init(0x100_0000, noise(64 * 4096, seed: 2)),
    .init(0x200_0000, noise(4096, seed: 3)),
  ])
  core.tamper = { headers in headers[2].offset = headers[1].offset }
  var note = MCoreNote()
  note.level = "all"
  note.trailerOffset = 61_440 * 100
  func claim(_ start: UInt64, _ end: UInt64, _ original: UInt64) throws -> SharedRange {
    SharedRange(try #require(PhysicalRange(start, end)), original: PhysicalAddress(original))
  }
  let true1 = try claim(0x100_0000, 0x100_8000, 0x10_0000)
  let true2 = try claim(0x101_0000, 0x101_1000, 0x11_0000)
  note.shared = try [
    claim(0, 0x1000, 0x10_0000), claim(0x10_0000, 0x10_1000, 0x200_0000), claim(0x10_0800, 0x10_1800, 0x100_0800), true1,
    claim(0x100_4000, 0x100_a000, 0x10_4000), claim(0x100_9000, 0x100_a000, 0x10_8000),
    claim(0x100_b000, 0x100_c000, .max - 4095), claim(0x103_0000, 0x105_0000, 0x13_0000), true2,
  ]
  for _ in 0..<5000 { note.shared.append(try claim(0, .max, 0)) }
  core.notes.append(DumpNote(name: MCoreNote.name, type: MCoreNote.type, descriptor: note.encoded(.x86_64, .fourKiB)))
  try core.write(to: scratch.file("core"))

  #expect(try openDump(scratch.file("core")).sharedMemory() == [true1, true2])
  #expect(try info(scratch.file("core"), json: true).contains("\"shared_pages\": 9,"))
  _ = try convert(scratch.file("core"), to: scratch.file("out"), format: .elfGzip, threads: 1, QuietReporter())
  let out = try openDump(scratch.file("out"))
  #expect(out.sharedMemory() == [true1, true2])
  for start in [0x10_0000, 0x100_0000] as [UInt64] {
    #expect(try out.bytes(at: PhysicalAddress(start), count: 64 * 4096) == core.segments[0].bytes)
  }
}

@Test func aCutSourceIsSavedAsFarAsItGoesAndSaysSo() throws {
  let scratch = try Scratch()
  let whole = try oddMachine().bytes()
  let path = scratch.file("cut")
  try Data(whole[0..<whole.count / 2]).write(to: URL(fileURLWithPath: path))
  var request = SaveRequest(source: path, targets: [scratch.file("out")], level: .all)
  request.threads = 2
  let result = try save(request, QuietReporter())
  #expect(result.status == .findings)
  let source = try openDump(scratch.file("out"))
  let absent = try #require(source.metadata).note.leftOut
  #expect(!absent.isEmpty)
  #expect(absent.allSatisfy { $0.reason == .sourceCut })
  let kept = source.coverage().reduce(0) { $0 + $1.range.count }
  let left = absent.reduce(0) { $0 + $1.range.count }
  #expect(
    kept + left
      == RangeSet.joined(oddMachine().segments.compactMap { PhysicalRange(start: $0.physical, count: $0.memorySize) }).reduce(0) {
        $0 + $1.count
      })
}

/// Every speed gives the same memory; all but `adaptive` the same bytes for any number of threads.
@Test(arguments: OutputFormat.allCases.filter { !$0.isPaged }, Speed.allCases)
func everySpeedGivesTheSameMemory(format: OutputFormat, speed: Speed) throws {
  let scratch = try Scratch()
  let (result, path) = try saved(oddMachine(), scratch, format: format.rawValue, speed: speed)
  try expectSameMemory(oddMachine(), path)
  #expect(try verify(path, threads: 2, QuietReporter()).verdict == .whole)
  let (_, other) = try saved(oddMachine(), scratch, format: format.rawValue, speed: speed, threads: 1)
  let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
  #expect(UInt64(bytes.count) == result.bytesWritten)
  if speed != .adaptive { #expect(try Data(contentsOf: URL(fileURLWithPath: other)) == bytes) }
}
