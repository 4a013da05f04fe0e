@testable import Capture
import DumpBasics
import DumpSource
import Foundation
import TestSupport
import Testing

/// The size in a block's header (BSIZE, at 16) leads to the next one: a wrong one costs at most its own block.
@Suite struct DamagedBlockTests {
  /// A dump as elf.gz, its bytes, and the sizes of its first members.
  private func dump(_ scratch: Scratch, _ memory: [UInt8]) throws -> (path: String, bytes: [UInt8], sizes: [Int]) {
    let input = scratch.file("input")
    try SyntheticCore([.init(0x10_0000, memory)]).write(to: input)
    let path = try save(SaveRequest(source: input, targets: [scratch.file("out")], level: .all), QuietReporter()).path
    let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    var sizes: [Int] = []
    var offset = 0
    while sizes.count < 8 {
      sizes.append(Int(bytes[offset + 16]) + Int(bytes[offset + 17]) << 8 + 1)
      offset += sizes[sizes.count - 1]
    }
    return (path, bytes, sizes)
  }

  /// Pages that can't be read; each that can is right.
  private func lostPages(_ path: String, _ memory: [UInt8]) throws -> Int {
    let source = try openDump(path)
    var lost = 0
    for start in stride(from: 0, to: memory.count, by: 4096) {
      guard let page = try? source.bytes(at: PhysicalAddress(0x10_0000 + UInt64(start)), count: 4096) else {
        lost += 1
        continue
      }
      #expect(page == Array(memory[start..<start + 4096]), "page \(start / 4096)")
    }
    return lost
  }

  @Test(arguments: [1, 3]) func aWrongSizeCostsItsBlock(member: Int) throws {
    let scratch = try Scratch()
    let memory = noise(4 << 20, seed: 11)
    let (path, bytes, sizes) = try dump(scratch, memory)
    let start = sizes[..<member].reduce(0, +)
    for size in [sizes[member] - 300, 100, 65_536] where size != sizes[member] {
      var damaged = bytes
      damaged[start + 16] = UInt8((size - 1) & 0xff)
      damaged[start + 17] = UInt8((size - 1) >> 8)
      try Data(damaged).write(to: URL(fileURLWithPath: path))
      let lost = try lostPages(path, memory)
      // A block of 15 pages.
      #expect(lost > 0 && lost <= 15, "\(lost) pages lost")
      #expect(try verify(path, threads: 1, QuietReporter()).verdict == .corrupt)
    }
  }

  /// What lies behind must not be taken for other memory.
  @Test func aSizeThatLeadsToALaterBlockIsNamed() throws {
    let scratch = try Scratch()
    // Blocks that shrink to a third: two of them have a size that the header can hold.
    let memory = (0..<(4 << 20)).map { UInt8($0 % 3 == 0 ? noiseByte($0) : 0) }
    let (path, bytes, sizes) = try dump(scratch, memory)
    let size = sizes[2] + sizes[3]
    try #require(size <= 65_536)
    let start = sizes[0] + sizes[1]
    var damaged = bytes
    damaged[start + 16] = UInt8((size - 1) & 0xff)
    damaged[start + 17] = UInt8((size - 1) >> 8)
    try Data(damaged).write(to: URL(fileURLWithPath: path))
    // One group of blocks: 16 of 15 pages.
    let lost = try lostPages(path, memory)
    #expect(lost > 0 && lost <= 240)
    #expect(try verify(path, threads: 1, QuietReporter()).verdict == .corrupt)
  }

  private func noiseByte(_ index: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: (UInt64(index) &* 0x9e37_79b9_7f4a_7c15) >> 40)
  }
}
