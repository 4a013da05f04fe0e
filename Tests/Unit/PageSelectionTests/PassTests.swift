import CoreEncoding
import DumpBasics
import Testing

@testable import DumpSource
@testable import PageSelection

@Test func memoryOfADumpOfOursStaysInItsPass() throws {
  var note = MCoreNote()
  note.passEnds = [100, 200, 316, 316, 400, 400].map { $0 << 12 }
  let passes = EarlierPasses(note, [], [])
  let range = try #require(PhysicalRange(0, 4096))
  func pass(_ page: UInt64) -> Pass { passes.run(Coverage(range: range, kind: .data(fileOffset: page << 12))).pass }
  #expect(
    [0, 99, 100, 199, 200, 315, 316, 399].map(pass) == [
      .witness, .witness, .kernelCore, .kernelCore, .kernel, .kernel, .cache, .cache,
    ])
  #expect(pass(400) == .kernel)
  #expect(passes.run(Coverage(range: range, kind: .zeros)) == KeptRun(range, .kernel))
}

@Test func theOrderWithinAPassIsFoundAgain() throws {
  var note = MCoreNote()
  note.passEnds = [0, 100, 100, 100, 100, 100].map { $0 << 12 }
  // In the file: pages 10-19, 40-49, then 0-9 (goes back), 20-29, then 30-39 (touches), 60-69.
  let order: [UInt64] = [10, 40, 0, 20, 30, 60]
  let coverage = try order.enumerated().map { index, page in
    Coverage(
      range: try #require(PhysicalRange(start: page << 12, count: 10 << 12)), kind: .data(fileOffset: UInt64(index) * 10 << 12))
  }
  let segments = order.enumerated().compactMap { index, page in
    PhysicalRange(start: page << 12, count: 10 << 12).map {
      MemorySegment(physical: $0, virtualAddress: 0, flags: 7, fileOffset: UInt64(index) * 10 << 12, fileSize: $0.count)
    }
  }
  let passes = EarlierPasses(note, coverage.sorted { $0.range.start < $1.range.start }, segments)
  #expect(coverage.map { passes.run($0).rank } == [0, 0, 1, 1, 2, 2])
  // Without a segment that begins there, pieces that touch are one.
  let joined = EarlierPasses(note, coverage, segments.filter { $0.physical.start != 30 << 12 })
  #expect(coverage.map { joined.run($0).rank } == [0, 0, 1, 1, 1, 1])
  #expect(coverage.allSatisfy { passes.run($0).pass == .kernelCore })
}
