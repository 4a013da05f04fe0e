import DumpBasics
import TestSupport
import Testing

@testable import SoftBoot

/// What happens to the region happens here: the machine stops at any write, memory is damaged anywhere.
@Suite struct RegionFaultTests {
  /// After any write, whole or torn in its middle, what is found is the start of the dump; each stop costs at
  /// most what was written last.
  @Test(arguments: [false, true])
  func whateverWriteIsTheLastOneAValidPrefixIsThere(fitted: Bool) throws {
    let file = try blockFile(2_300_000)
    let all = BufferMemory(units: 4)
    try writeRegion(file, all, [all.extent(0..<2), all.extent(3..<4)], fitted: fitted)
    let total = all.writes
    #expect(total > 100)
    var longest = 0
    var whole = 0
    for stop in 0..<total {
      let memory = BufferMemory(units: 4)
      memory.writesLeft = stop
      do {
        let writer = try RegionWriter(
          memory, RegionExtents([memory.extent(0..<2), memory.extent(3..<4)]), testIdentity(), fitted: fitted)
        for start in stride(from: 0, to: file.count, by: 30_011) {
          try file[start..<min(file.count, start + 30_011)].lent { (piece) throws(DumpError) in try writer.write(piece) }
        }
        _ = try writer.complete()
        // Only the wiping of a head that is out of use may fail without a word.
        #expect(fitted && stop == total - 1)
      } catch { #expect(error.kind == .system(5)) }
      // The power is gone: nobody calls abandon.
      guard let region = try? findRegion(memory, in: [memory.window], expecting: testExpectation()) else {
        #expect(stop == 0, "nothing after \(stop) writes")
        continue
      }
      let (bytes, outcome) = try contents(region)
      #expect(outcome.damaged.isEmpty, "after \(stop) writes")
      #expect(areEqual(bytes, file, 0..<bytes.count), "after \(stop) writes")
      #expect(bytes.count >= longest)
      longest = max(longest, bytes.count)
      if outcome.isWhole {
        whole += 1
        #expect(bytes == file)
      } else {
        // Complete is written last: both heads, then the one that is out of use.
        #expect(stop < total - (fitted ? 2 : 1))
      }
    }
    #expect(longest == file.count)
    #expect(whole == (fitted ? 2 : 1))
  }

  private enum Fault: CaseIterable {
    case flip, flippedDirectory, tornHead, bothHeads, missingExtent, zeroedPage
  }

  /// Thousand single faults: nothing that is handed out is wrong, nothing crashes, and one fault costs a
  /// chunk, a unit or an extent at most.
  @Test func thousandSingleFaults() throws {
    let file = try blockFile(5_500_000)
    let memory = BufferMemory(units: 6)
    let ranges = [memory.extent(0..<1), memory.extent(2..<3), memory.extent(4..<6)]
    let extents = try writeRegion(file, memory, ranges)
    var random = SplitMix(2026)
    var wholes = 0
    var lost = 0
    for number in 0..<1000 {
      let fault = Fault.allCases[number % Fault.allCases.count]
      let unit = random.below(extents.units)
      let start = extents.address(ofUnit: unit)
      var touched: [Range<UInt64>] = []
      switch fault {
      case .flip:
        touched = [start + random.below(RegionLayout.unitSize)].map { $0..<$0 + 1 }
      case .flippedDirectory:
        // The used part of a head or of a table.
        let offset = [0, RegionLayout.tableOffset, RegionLayout.secondHeadOffset][Int(random.below(3))]
        touched = [start + offset + random.below(640)].map { $0..<$0 + 1 }
      case .tornHead:
        let address = extents.headAddress(1 + random.below(2))
        touched = [address + random.below(512)..<address + 4096]
      case .bothHeads: touched = (1...2).map { extents.headAddress($0)..<extents.headAddress($0) + 4096 }
      case .missingExtent:
        memory.missing = ranges[Int(random.below(3))]
      case .zeroedPage:
        touched = [start + random.below(512) * 4096].map { $0..<$0 + 4096 }
      }
      let bit = UInt8(random.below(8))
      let saved = touched.map { Array(memory.bytes[index($0)]) }
      for range in touched {
        if range.count == 1 {
          memory.flip(range.lowerBound, bit)
        } else if fault == .tornHead {
          memory.bytes.replaceSubrange(index(range), with: noise(range.count, seed: UInt64(number)))
        } else {
          memory.zero(range.lowerBound, range.count)
        }
      }

      let region = try? findRegion(memory, in: ranges, expecting: testExpectation())
      if let region {
        let (bytes, outcome) = try contents(region)
        #expect(isTrue(bytes, outcome, of: file), "fault \(number), \(fault)")
        if outcome.isWhole { wholes += 1 }
        let missing = UInt64(file.count) - min(UInt64(file.count), outcome.good)
        switch fault {
        case .flip, .flippedDirectory: #expect(missing <= 65536, "fault \(number), \(fault)")
        case .zeroedPage: #expect(missing <= RegionLayout.payloadSize, "fault \(number), \(fault)")
        case .tornHead: #expect(outcome.isWhole, "fault \(number), \(fault)")
        case .bothHeads:
          #expect(missing == 0 && !outcome.isWhole && region.evidence == .tables)
        case .missingExtent:
          #expect(missing <= 2 * RegionLayout.payloadSize && !outcome.isWhole)
        }
      } else {
        lost += 1
      }
      for (range, bytes) in zip(touched, saved) { memory.bytes.replaceSubrange(index(range), with: bytes) }
      memory.missing = nil
    }
    // No single fault makes the region unfindable.
    #expect(lost == 0)
    // Those that hit nothing in use, or one of the two heads.
    #expect(wholes > 200 && wholes < 600)
    #expect(try findRegion(memory, in: ranges, expecting: testExpectation()).check().isWhole)
  }

  private func index(_ range: Range<UInt64>) -> Range<Int> {
    Int(range.lowerBound - BufferMemory.base)..<Int(range.upperBound - BufferMemory.base)
  }

  /// Heads and all tables gone: blocks remain, each with a checksum of its own.
  @Test func withoutADirectoryBlocksAreFound() throws {
    let file = try blockFile(3_000_000)
    let memory = BufferMemory(units: 4)
    try writeRegion(file, memory, [memory.extent(1..<4)])
    for unit in 1..<4 {
      memory.zero(memory.extent(UInt64(unit)..<UInt64(unit + 1)).start, 8192)
      memory.zero(memory.extent(UInt64(unit)..<UInt64(unit + 1)).start + RegionLayout.secondHeadOffset, 4096)
    }
    let region = try findRegion(memory, in: [memory.window], expecting: testExpectation())
    #expect(region.evidence == .blocks)
    let (bytes, outcome) = try contents(region)
    #expect(bytes == file && !outcome.isWhole && outcome.damaged.isEmpty)
    // With damage in the middle the rest stays at its place.
    memory.zero(memory.extent(1..<2).start + 500_000, 100)
    let damaged = try findRegion(memory, in: [memory.window], expecting: testExpectation())
    let (rest, second) = try contents(damaged)
    #expect(rest.count == file.count && second.damaged.count == 1)
    #expect(isTrue(rest, second, of: file))
    #expect(second.damaged.allSatisfy { $0.count <= 65536 })
    // Not where somebody only searched: nothing shows whose they are.
    var searching = testExpectation()
    searching.isFoundByScan = true
    #expect(throws: DumpError.self) { try findRegion(memory, in: [memory.window], expecting: searching) }
    #expect(throws: DumpError.self) { try region.countAttempt() }
    #expect(throws: DumpError.self) { try region.markSaved() }
    #expect(throws: DumpError.self) { try region.wipe() }
  }

  /// Heads with a right checksum and wrong claims: whoever wrote them, nothing crashes and nothing is whole.
  @Test func claimsOfAHeadAreChecked() throws {
    let file = try blockFile(1_000_000)
    var random = SplitMix(7)
    let memory = BufferMemory(units: 2)
    try writeRegion(file, memory, [memory.window])
    let extents = try RegionExtents([memory.window])
    let original = (1...2).map { try? memory.bytes(at: extents.headAddress($0), count: 4096) }.compactMap { $0 }
    var refused = 0
    for _ in 0..<500 {
      let offset = 16 + Int(random.below(400))
      let value = UInt8(truncatingIfNeeded: random.next())
      for generation in [UInt64(1), 2] {
        var head = original[Int(generation) - 1]
        head[offset] = value
        let checksum = CRC32C.ofStructure(head, checksumAt: 12)
        for index in 0..<4 { head[12 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
        try memory.write(head, at: extents.headAddress(generation))
      }
      guard let region = try? findRegion(memory, in: [memory.window], expecting: testExpectation()) else {
        refused += 1
        continue
      }
      let (bytes, outcome) = try contents(region)
      #expect(isTrue(bytes, outcome, of: file))
    }
    #expect(refused > 40)
  }
}

struct SplitMix {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    return word ^ (word >> 31)
  }
  mutating func below(_ bound: UInt64) -> UInt64 { next() % bound }
}
