import Capture
import CoreEncoding
import CoreFormat
import DumpBasics
import DumpSource
import Foundation
import Mounting
import Synchronization
import TestSupport
import Testing

@testable import LinuxSystem

private func machine() -> SyntheticCore {
  SyntheticCore([
    .init(0x1000, noise(0x2c00, seed: 1)),
    .init(0x10_0000, noise(400_000, seed: 2) + [UInt8](repeating: 0, count: 2 << 20) + noise(70_000, seed: 3)),
  ])
}

private func dump(_ core: SyntheticCore, _ format: OutputFormat, _ scratch: Scratch) throws -> String {
  try core.write(to: scratch.file("input"))
  var request = SaveRequest(source: scratch.file("input"), targets: [scratch.file("dump")], level: .all)
  request.format = format
  _ = try save(request, QuietReporter())
  return scratch.file("dump")
}

private func bytes(_ view: CoreView, _ offset: UInt64, _ count: Int) throws -> [UInt8] {
  var bytes = [UInt8](repeating: 0xee, count: count)
  try bytes.withUnsafeMutableBytes { try view.read(at: offset, into: $0) }
  return bytes
}

/// What the mount shows as `vmcore` is a plain ELF core with the same memory, in whatever pieces it is read.
@Test(arguments: OutputFormat.allCases.map(\.rawValue)) func theViewOfEveryFormatIsAnElfWithTheSameMemory(format: String) throws {
  let scratch = try Scratch()
  let core = machine()
  let path = try dump(core, try #require(.init(rawValue: format)), scratch)
  let view = try CoreView(try openDump(path), cacheBytes: 300_000)
  let whole = try bytes(view, 0, Int(view.size))
  try Data(whole).write(to: URL(fileURLWithPath: scratch.file("vmcore")))
  let source = try openDump(scratch.file("vmcore"))
  #expect(source.format == "elf")
  for segment in core.segments {
    #expect(try source.bytes(at: PhysicalAddress(segment.physical), count: segment.bytes.count) == segment.bytes)
  }
  #expect(source.notes.filter { $0.name != "MCORE" } == core.notes)
  #expect(source.segments.count >= 2)

  let random = noise(16 * 200, seed: 9)
  for index in 0..<200 {
    let word = random[16 * index..<16 * index + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let offset = word % view.size
    let count = Int(min(view.size - offset, UInt64(random[16 * index + 9]) * 600 + 1))
    #expect(try bytes(view, offset, count) == Array(whole[Int(offset)..<Int(offset) + count]))
  }
  #expect(throws: DumpError.self) { try bytes(view, view.size - 1, 2) }
  #expect(throws: DumpError.self) { try bytes(view, .max, 2) }
}

@Test func aDumpOfOnePieceGetsTwoProgramHeaders() throws {
  let scratch = try Scratch()
  let core = SyntheticCore([.init(0x10_0000, noise(0x4000, seed: 1))])
  let view = try CoreView(try openDump(try dump(core, #require(OutputFormat.allCases.last), scratch)))
  try Data(try bytes(view, 0, Int(view.size))).write(to: URL(fileURLWithPath: scratch.file("vmcore")))
  #expect(try openDump(scratch.file("vmcore")).segments.count == 2)
}

@Test func theCacheKeepsWhatWasUsedLastAndNoMore() throws {
  let reads = Mutex<[UInt64]>([])
  let cache = BlockCache(blockSize: 1000, bytes: 3000, fileSize: 9500) { (offset, buffer) throws(DumpError) in
    reads.withLock { $0.append(offset) }
    for index in buffer.indices { buffer[index] = UInt8(truncatingIfNeeded: offset / 1000) }
  }
  func read(_ offset: UInt64, _ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0xee, count: count)
    try bytes.withUnsafeMutableBytes { try cache.read(at: offset, into: $0) }
    return bytes
  }
  #expect(
    try read(900, 1200) == [UInt8](repeating: 0, count: 100) + [UInt8](repeating: 1, count: 1000)
      + [UInt8](repeating: 2, count: 100))
  #expect(try read(0, 10) == [UInt8](repeating: 0, count: 10))
  // 1 was used longest ago.
  #expect(try read(9400, 100) == [UInt8](repeating: 9, count: 100))
  #expect(cache.count == 3)
  _ = try read(0, 1)
  _ = try read(2000, 1)
  _ = try read(1000, 1)
  #expect(reads.withLock { $0 } == [0, 1000, 2000, 9000, 1000])
  #expect(throws: DumpError.self) { try read(9400, 101) }
}

/// A block of the cache has 15 pages of a kdump file: one that is damaged costs none of the others.
#if Kdump
  @Test func aDamagedPageCostsItselfAlone() throws {
    let scratch = try Scratch()
    var kdump = SyntheticKdump([:])
    for frame in 0x100..<0x140 as Range<UInt64> { kdump.pages[frame] = .zlib(noise(4096, seed: frame)) }
    kdump.pages[0x110] = .raw(noise(1000, seed: 1), flags: 1)
    try kdump.write(to: scratch.file("dump"))
    let source = try openDump(scratch.file("dump"))
    let view = try CoreView(source)
    let start = view.size - 0x40 * 4096
    for page in 0..<0x40 as Range<UInt64> {
      let frame = 0x100 + page
      if frame == 0x110 {
        #expect(throws: DumpError.self) { try bytes(view, start + page * 4096, 4096) }
      } else {
        #expect(try bytes(view, start + page * 4096, 4096) == noise(4096, seed: frame))
      }
    }
    #expect(throws: DumpError.self) { try bytes(view, start + 0xf * 4096, 8192) }
  }
#endif

/// `--strict`: what could not be read is an error, and what only a header promises is not there.
@Test func aStrictViewHasNoMemoryThatTheDumpHasNot() throws {
  let scratch = try Scratch()
  let core = SyntheticCore([
    .init(0x1000, noise(0x3000, seed: 1), memorySize: 0x8000), .init(0x10_0000, noise(0x4000, seed: 2)),
  ])
  try core.write(to: scratch.file("core"))
  let source = try openDump(scratch.file("core"))
  #expect(try source.bytes(at: PhysicalAddress(0x5000), count: 4096) == [UInt8](repeating: 0, count: 4096))
  let view = try CoreView(source, isStrict: true)
  let whole = try bytes(view, 0, Int(view.size))
  // Whatever pieces it is read in.
  #expect(try (0..<600).flatMap { try bytes(view, UInt64($0), 1) } == Array(whole[..<600]))
  try Data(whole).write(to: URL(fileURLWithPath: scratch.file("vmcore")))
  let strict = try openDump(scratch.file("vmcore"))
  #expect(strict.findings.isEmpty)
  #expect(strict.coverage().map(\.range.count) == [0x3000, 0x4000])
  #expect(throws: DumpError.self) { try strict.bytes(at: PhysicalAddress(0x5000), count: 4096) }
  let original = try Data(contentsOf: URL(fileURLWithPath: scratch.file("core")))
  #expect(zip(original, whole).filter { $0 != $1 }.count <= 8)
  #expect(try bytes(CoreView(source), 0, Int(view.size)) == Array(original))
}

@Suite(.serialized) struct StrictFaultTests {
  @Test(arguments: [OutputFormat.elf, .elfGzip]) func unreadableMemoryIsAnErrorInAStrictView(format: OutputFormat) throws {
    let scratch = try Scratch()
    let input = scratch.file("input")
    try SyntheticCore([.init(0x10_0000, noise(1 << 20, seed: 1))]).write(to: input)
    let piece = try #require(try openDump(input).coverage().first)
    guard case .data(let start) = piece.kind else { throw DumpError("no data") }
    let bad = start + 100 * 4096
    Faults.setUnreadable(path: input, bad..<bad + 4096)
    defer { Faults.setUnreadable(path: input, 0..<0) }
    var request = SaveRequest(source: input, targets: [scratch.file("dump")], level: .all)
    request.format = format
    _ = try save(request, QuietReporter())
    let source = try openDump(scratch.file("dump"))
    let unreadable = try #require(source.coverage().first { $0.range.contains(0x10_0000 + 100 * 4096) })
    guard case .data(let offset) = unreadable.kind else { throw DumpError("no data") }
    let place = offset + (0x10_0000 + 100 * 4096 - unreadable.range.start)
    #expect(try bytes(CoreView(source), place, 17) == Array("mcore:unreadablem".utf8))
    let view = try CoreView(source, isStrict: true)
    for (from, count) in [(place, 17), (place - 1, 2), (place + 4095, 1), (place + 4095, 2)] {
      #expect(throws: DumpError.self) { try bytes(view, from, count) }
    }
    #expect(try bytes(view, place - 4096, 4096) == Array(noise(1 << 20, seed: 1)[99 * 4096..<100 * 4096]))
    #expect(try bytes(view, place + 4096, 4096) == Array(noise(1 << 20, seed: 1)[101 * 4096..<102 * 4096]))
  }
}

@Test func aTextIsMadeOnceWhenItIsRead() throws {
  let made = Mutex(0)
  let text = LazyText {
    made.withLock { $0 += 1 }
    return "a report of 23 letters\n"
  }
  #expect(made.withLock { $0 } == 0)
  @Sendable func read(_ offset: UInt64, _ count: Int) -> String {
    var buffer = [UInt8](repeating: 0, count: count)
    let got = buffer.withUnsafeMutableBytes { text.read(at: offset, into: $0) }
    return String(decoding: buffer[..<got], as: UTF8.self)
  }
  DispatchQueue.concurrentPerform(iterations: 8) { _ in _ = read(0, 4) }
  #expect(read(0, 100) == "a report of 23 letters\n")
  #expect(read(2, 6) == "report")
  #expect(read(23, 6) == "")
  #expect(read(.max, 6) == "")
  #expect(made.withLock { $0 } == 1)
}
