import CChecksum
import CoreEncoding
import DumpBasics
import TestSupport
import Testing

@testable import SoftBoot

@Suite struct RegionTests {
  private let file: [UInt8]
  init() throws { file = try blockFile(4_500_000) }

  /// RFC 3720, B.4.
  @Test func checksumsAreThoseOfTheStandard() {
    #expect(CRC32C.of([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
    #expect(CRC32C.of([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
    #expect(CRC32C.of((0..<32).map { UInt8($0) }) == 0x46dd_794e)
    #expect(CRC32C.of(Array("123456789".utf8)) == 0xe306_9283)
    let bytes = noise(1003, seed: 5)
    for start in 0..<9 {
      let part = Array(bytes[start...])
      #expect(CRC32C.of(part) == part.withUnsafeBytes { mcore_crc32c_portable(0, $0.baseAddress, $0.count) })
      #expect(CRC32C.of(Array(part[500...]), from: CRC32C.of(Array(part[..<500]))) == CRC32C.of(part))
    }
  }

  /// The numbers of docs/region.md.
  @Test func chunksAreWhereTheyAreSaidToBe() {
    #expect(RegionLayout.payloadSize == 2_084_864)
    #expect(RegionLayout.chunkSize(30) == 65536 && RegionLayout.chunkSize(31) == 53248 && RegionLayout.chunkSize(63) == 53248)
    #expect(RegionLayout.offset(ofChunk: 31) + 53248 == RegionLayout.secondHeadOffset)
    for chunk in 0..<100 {
      let end = RegionLayout.position(ofChunk: chunk) + UInt64(RegionLayout.chunkSize(chunk))
      #expect(end == RegionLayout.position(ofChunk: chunk + 1))
      #expect(RegionLayout.chunks(end) == chunk + 1 && RegionLayout.chunks(end + 1) == chunk + 2)
    }
  }

  @Test(arguments: [1, 30_011, 65536, 5_000_000])
  func aDumpComesBackByteForByte(step: Int) throws {
    let memory = BufferMemory(units: 5)
    let small = step == 1 ? Array(file[..<70_000]) : file
    let extents = try writeRegion(small, memory, [memory.extent(0..<1), memory.extent(2..<5)], step: step)
    #expect(extents.units == 4)
    let region = try findRegion(memory, in: [memory.window], expecting: testExpectation())
    let (bytes, outcome) = try contents(region)
    #expect(bytes == small)
    #expect(outcome == .init(isWhole: true, good: UInt64(small.count), damaged: []))
    #expect(region.head.state == .complete && region.head.identity == testIdentity())
    #expect(region.findings.isEmpty && region.evidence == .head && region.isUnsaved)
  }

  @Test func zerosAreWritten() throws {
    let memory = BufferMemory(units: 2)
    let writer = try RegionWriter(memory, RegionExtents([memory.window]), testIdentity(), fitted: false)
    try writer.skip(200_000)
    try writer.skip(1)
    #expect(writer.length == 200_001)
    _ = try writer.complete()
    let (bytes, outcome) = try contents(try findRegion(memory, in: [memory.window], expecting: testExpectation()))
    #expect(outcome.isWhole && bytes == [UInt8](repeating: 0, count: 200_001))
  }

  @Test func nothingOutsideOfTheExtentsIsWritten() throws {
    let memory = BufferMemory(units: 6)
    let extents = [memory.extent(1..<2), memory.extent(3..<5)]
    try writeRegion(file, memory, extents)
    #expect(memory.written.allSatisfy { range in extents.contains { $0.start <= range.start && range.end <= $0.end } })
  }

  @Test func aRegionThatIsTooSmallHoldsTheStart() throws {
    let memory = BufferMemory(units: 2)
    #expect {
      try writeRegion(file, memory, [memory.window])
    } throws: { ($0 as? DumpError)?.kind == .full }
    let region = try findRegion(memory, in: [memory.window], expecting: testExpectation())
    let (bytes, outcome) = try contents(region)
    #expect(region.head.isCut && region.head.state == .writing)
    #expect(bytes == Array(file[..<Int(2 * RegionLayout.payloadSize)]))
    #expect(!outcome.isWhole && outcome.damaged.isEmpty)
  }

  @Test func aFittedRegionGivesBackWhatItDoesNotNeed() throws {
    let memory = BufferMemory(units: 8)
    let extents = try writeRegion(
      file, memory, [memory.extent(0..<1), memory.extent(2..<4), memory.extent(5..<8)], fitted: true)
    #expect(extents.ranges == [memory.extent(0..<1), memory.extent(2..<4)])
    // What the normal kernel sets aside is all that is left.
    memory.missing = memory.extent(5..<8)
    let (bytes, outcome) = try contents(try findRegion(memory, in: extents.ranges, expecting: testExpectation()))
    #expect(outcome.isWhole && bytes == file)
    memory.missing = nil
    // No stale head stays behind.
    let old = memory.extent(7..<8).start + RegionLayout.secondHeadOffset
    #expect(try RegionHead(try memory.bytes(at: old, count: 4096), at: "") == nil)
  }

  // MARK: refused

  @Test func otherRegionsAreRefusedWithTheReason() throws {
    let memory = BufferMemory(units: 3)
    try writeRegion(file, memory, [memory.window])
    func reason(_ change: (inout RegionExpectation) -> Void) -> String {
      var expectation = testExpectation()
      change(&expectation)
      do {
        _ = try findRegion(memory, in: [memory.window], expecting: expectation)
        return "taken"
      } catch { return error.description }
    }
    #expect(reason { _ in } == "taken")
    #expect(reason { $0.bootID = RegionID(noise(16, seed: 1)) }.contains("it is of boot 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"))
    #expect(reason { $0.geometry = 1 }.contains("its memory map is 0x123456789abc, this machine's 0x1"))
    #expect(reason { $0.nonce = RegionID(noise(16, seed: 1)) }.contains("nonce"))
    #expect(reason { $0.isFoundByScan = true } == "taken")
    #expect(
      reason {
        $0.isFoundByScan = true
        $0.nonce = nil
      }.contains("found by a scan"))
    // The same without heads.
    let extents = try RegionExtents([memory.window])
    for generation in [UInt64(1), 2] { memory.zero(extents.headAddress(generation), 4096) }
    #expect(reason { _ in } == "taken")
    #expect(reason { $0.bootID = RegionID(noise(16, seed: 1)) }.contains("it is of boot"))
  }

  @Test func anotherVersionIsRefused() throws {
    let memory = BufferMemory(units: 3)
    try writeRegion(file, memory, [memory.window])
    let extents = try RegionExtents([memory.window])
    for generation in [UInt64(1), 2] {
      let address = extents.headAddress(generation)
      var head = try memory.bytes(at: address, count: 4096)
      head[8] = 2
      let checksum = CRC32C.ofStructure(head, checksumAt: 12)
      for index in 0..<4 { head[12 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
      try memory.write(head, at: address)
    }
    #expect {
      try findRegion(memory, in: [memory.window], expecting: testExpectation())
    } throws: { ($0 as? DumpError)?.kind == .unsupported && "\($0)".contains("format version 2") }
    // Nor is it overwritten.
    #expect(throws: DumpError.self) { try writeRegion(file, memory, [memory.window]) }
  }

  /// A head that stands elsewhere than it says is none: what tables and checksums show is taken, and never as
  /// whole.
  @Test func theHeadsOfARegionThatWasMovedAreNotBelieved() throws {
    let memory = BufferMemory(units: 6)
    try writeRegion(Array(file[..<100_000]), memory, [memory.extent(0..<2)])
    memory.bytes.replaceSubrange(4 << 21..<6 << 21, with: memory.bytes[0..<2 << 21])
    memory.zero(BufferMemory.base, 4 << 21)
    let region = try findRegion(memory, in: [memory.extent(4..<6)], expecting: testExpectation())
    let (bytes, outcome) = try contents(region)
    #expect(region.evidence == .tables && !outcome.isWhole && bytes == Array(file[..<100_000]))
    #expect(region.findings.contains { $0.contains("it lies elsewhere") })
  }

  @Test func nothingIsFoundWhereNothingIs() {
    let memory = BufferMemory(units: 2)
    #expect(throws: DumpError.self) { try findRegion(memory, in: [memory.window], expecting: testExpectation()) }
    #expect(throws: DumpError.self) { try findRegion(memory, in: [], expecting: testExpectation()) }
  }

  @Test func extentsThatCanNotBeAreRefused() throws {
    func isRefused(_ words: [UInt64]) -> Bool {
      let ranges = stride(from: 0, to: words.count, by: 2).compactMap { PhysicalRange(words[$0], words[$0 + 1]) }
      return (try? RegionExtents(ranges)) == nil
    }
    let nine: [UInt64] = (1...18).map { UInt64($0) * 0x20_0000 }
    #expect(!isRefused(Array(nine[2...])) && isRefused(nine) && isRefused([]))
    #expect(isRefused([0, 0x20_0000]))
    #expect(isRefused([0x20_0001, 0x40_0000]) && isRefused([0x20_0000, 0x40_1000]))
    #expect(isRefused([0x40_0000, 0x60_0000, 0x20_0000, 0x40_0000]))
    #expect(isRefused([0x20_0000, 0x60_0000, 0x40_0000, 0x80_0000]))
    #expect(isRefused([0x10_0000_0000_0000, 0x10_0000_0020_0000]))
    // 1 TiB is the limit.
    #expect(!isRefused([0x4000_0000, 0x100_4000_0000]) && isRefused([0x4000_0000, 0x100_4020_0000]))
  }

  // MARK: not overwritten

  @Test func anUnsavedDumpIsNotOverwritten() throws {
    let memory = BufferMemory(units: 4)
    try writeRegion(file, memory, [memory.extent(0..<3)])
    let before = memory.bytes
    // Also where the new region would only overlap it, at either end.
    for extents in [[memory.extent(0..<3)], [memory.extent(2..<4)], [memory.extent(0..<1), memory.extent(3..<4)]] {
      #expect { try writeRegion(file, memory, extents) } throws: {
        "\($0)".contains("a dump that was not saved lies here: of 6.1.0-47-cloud-amd64, 2025-11-23T02:51:07Z")
      }
    }
    // One head is enough to protect it.
    memory.flip(try RegionExtents([memory.extent(0..<3)]).headAddress(1))
    #expect(throws: DumpError.self) { try writeRegion(file, memory, [memory.extent(0..<3)]) }
    memory.flip(try RegionExtents([memory.extent(0..<3)]).headAddress(1))
    #expect(memory.bytes == before)
  }

  @Test func aCutDumpIsNotOverwrittenEither() throws {
    let memory = BufferMemory(units: 4)
    memory.writesLeft = 6
    #expect(throws: DumpError.self) { try writeRegion(file, memory, [memory.window]) }
    memory.writesLeft = .max
    var later = testIdentity()
    later.nonce = RegionID(noise(16, seed: 100)) ?? .none
    #expect(throws: DumpError.self) { try writeRegion(file, memory, [memory.window], later) }
    // Nor by the same crash, where it was given up and not broken off.
    let small = BufferMemory(units: 2)
    #expect(throws: DumpError.self) { try writeRegion(try blockFile(6_000_000), small, [small.window]) }
    let before = small.bytes
    #expect(throws: DumpError.self) { try writeRegion(file, small, [small.window]) }
    #expect(small.bytes == before)
  }

  /// Where the machine restarted on the way to the second stage, the next kernel had this memory as its own:
  /// the dump in it is lost, and must not keep that kernel's crash from being saved.
  @Test func inMemoryThatWasFreeOnlyADumpOfThisCrashIsInTheWay() throws {
    var later = testIdentity()
    later.nonce = RegionID(noise(16, seed: 101)) ?? .none
    later.crashTime += 60
    let other = noise(900_000, seed: 102)
    let memory = BufferMemory(units: 4)
    try writeRegion(file, memory, [memory.window])
    let before = memory.bytes
    // Not set aside, but of the same crash; set aside; and a crash of which no nonce is known.
    #expect(throws: DumpError.self) { try writeRegion(other, memory, [memory.window], fitted: true) }
    #expect(throws: DumpError.self) { try writeRegion(other, memory, [memory.window], later) }
    var unknown = later
    unknown.nonce = .none
    #expect(throws: DumpError.self) { try writeRegion(other, memory, [memory.window], unknown, fitted: true) }
    #expect(memory.bytes == before)
    var expectation = RegionExpectation()
    expectation.nonce = later.nonce
    // Also over one end of it, where its other head stays: it is of another crash, and is not taken for this
    // one's.
    for extent in [memory.extent(1..<4), memory.window] {
      let extents = try writeRegion(other, memory, [extent], later, fitted: true)
      let (bytes, outcome) = try contents(findRegion(memory, in: [memory.window], expecting: expectation))
      #expect(outcome.isWhole && bytes == other && extents.units == 1)
      // And now this one is in the way of its own kind.
      #expect(throws: DumpError.self) { try writeRegion(file, memory, [extent], later, fitted: true) }
      // The next extent is tried from the start.
      memory.bytes = before
    }
  }

  /// With 6.12 in a guest the last bytes were a part of a unit's first chunk, and that unit was given back.
  @Test(arguments: [0, 1, 2, 3])
  func whatIsFittedHoldsAllOfTheDump(units: Int) throws {
    let full = units * Int(RegionLayout.payloadSize)
    for size in [full - 1, full, full + 1, full + 65535, full + 65536, full + 65537] where size > 0 {
      let memory = BufferMemory(units: 5)
      let dump = noise(size, seed: UInt64(size))
      let extents = try writeRegion(dump, memory, [memory.window], step: 1 << 20, fitted: true)
      #expect(extents.units == UInt64((size + Int(RegionLayout.payloadSize) - 1) / Int(RegionLayout.payloadSize)))
      let (bytes, outcome) = try contents(findRegion(memory, in: extents.ranges, expecting: testExpectation()))
      #expect(outcome.isWhole && bytes == dump, "\(size) bytes")
    }
  }

  @Test func aDumpOfTheSameCrashThatWasBrokenOffIsBegunAgain() throws {
    // As by a process that is killed: nothing is said of its end.
    func breakOff(_ memory: BufferMemory, _ identity: RegionIdentity) throws {
      let writer = try RegionWriter(memory, RegionExtents([memory.window]), identity, fitted: false)
      try file[..<700_000].lent { (piece) throws(DumpError) in try writer.write(piece) }
    }
    let memory = BufferMemory(units: 4)
    try breakOff(memory, testIdentity())
    try writeRegion(file, memory, [memory.window])
    let region = try findRegion(memory, in: [memory.window], expecting: testExpectation())
    let (bytes, outcome) = try contents(region)
    #expect(outcome.isWhole && bytes == file)
    // What has no nonce is not known to be the same.
    var unknown = testIdentity()
    unknown.nonce = .none
    let other = BufferMemory(units: 4)
    try breakOff(other, unknown)
    #expect(throws: DumpError.self) { try writeRegion(file, other, [other.window], unknown) }
  }

  @Test func aSavedDumpAndAnEmptyOneGiveWay() throws {
    let memory = BufferMemory(units: 4)
    memory.writesLeft = 2
    #expect(throws: DumpError.self) { try writeRegion(file, memory, [memory.window]) }
    memory.writesLeft = .max
    try writeRegion(file, memory, [memory.window])
    let region = try findRegion(memory, in: [memory.window], expecting: testExpectation())
    #expect(throws: DumpError.self) { try region.wipe() }
    #expect(try region.countAttempt() == 1)
    #expect(try region.countAttempt() == 2)
    #expect(try findRegion(memory, in: [memory.window], expecting: testExpectation()).head.attempts == 2)
    try region.markSaved()
    #expect(!region.isUnsaved)
    try region.wipe()
    // Everything between the places of heads is zeros.
    for unit in 0..<4 {
      #expect(memory.bytes[unit << 21 + 4096..<(unit + 1) << 21 - 4096].allSatisfy { $0 == 0 })
    }
    #expect(try findRegion(memory, in: [memory.window], expecting: testExpectation()).head.state == .saved)
    let other = try blockFile(2_500_000, seed: 77)
    try writeRegion(other, memory, [memory.window])
    let (bytes, outcome) = try contents(try findRegion(memory, in: [memory.window], expecting: testExpectation()))
    #expect(outcome.isWhole && bytes == other)
  }

  /// An earlier dump that was saved and not wiped must not lend its chunks to a later one.
  @Test func chunksOfAnEarlierDumpAreNotTakenForThoseOfALaterOne() throws {
    let memory = BufferMemory(units: 4)
    try writeRegion(file, memory, [memory.window])
    try findRegion(memory, in: [memory.window], expecting: testExpectation()).markSaved()
    var later = testIdentity()
    later.crashTime += 100
    let other = try blockFile(4_500_000, seed: 77)
    for stop in [2, 3, 5, 12, 40, 90] {
      let copy = BufferMemory(units: 4)
      copy.bytes = memory.bytes
      copy.writesLeft = stop
      #expect(throws: DumpError.self) { try writeRegion(other, copy, [copy.window], later) }
      for headsGone in [false, true] {
        if headsGone {
          copy.zero(copy.extent(0..<1).start, 4096)
          copy.zero(copy.extent(3..<4).start + RegionLayout.secondHeadOffset, 4096)
        }
        guard let region = try? findRegion(copy, in: [copy.window], expecting: testExpectation()) else { continue }
        let (bytes, outcome) = try contents(region)
        if region.head.identity.crashTime == later.crashTime {
          #expect(isTrue(bytes, outcome, of: other), "stopped after \(stop)")
          #expect(!outcome.isWhole)
        }
      }
    }
  }
}

/// A rehearsal is a region like any other, with a pattern for the dump.
@Suite struct RehearsalRegionTests {
  @Test func aByteThatChangedIsFound() throws {
    let memory = BufferMemory(units: 3)
    let extents = try RegionExtents([memory.extent(0..<3)])
    #expect(try holdsRegion(memory, [memory.window]) == false)
    #expect(try writeRehearsal(memory, extents, RegionIdentity()) == extents.capacity)
    #expect(try holdsRegion(memory, [memory.window]))
    let region = try findRegion(memory, in: [memory.window], expecting: RegionExpectation())
    #expect(region.isRehearsal && region.isUnsaved)
    #expect(region.check().isWhole && region.check().good == extents.capacity)
    memory.bytes[3_000_000] ^= 1
    #expect(!region.check().isWhole && region.check().good == extents.capacity - 65536)
  }

  @Test func theRecordTellsWhatCameOut() throws {
    let scratch = try Scratch()
    let armed = ArmedRecord(time: 0, release: "6.1", bootID: "a", nonce: "b", memory: 1)
    var record = RehearsalRecord(armed, bytes: 4 << 20)
    #expect(record.description(bootID: "a").contains("not been restarted"))
    #expect(record.description(bootID: "b").contains("nothing came through"))
    (record.checked, record.lost) = (7, 1 << 20)
    try record.write(to: scratch.file("rehearsal"))
    let read = try #require(RehearsalRecord(readFrom: scratch.file("rehearsal")))
    #expect(read.description(bootID: "b").hasSuffix("by kexec: 1.0 MiB of 4.0 MiB were lost"))
    record.lost = 0
    #expect(record.description(bootID: "b").hasSuffix("all 4.0 MiB came through"))
  }
}
