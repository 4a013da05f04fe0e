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
