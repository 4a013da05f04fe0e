import CoreEncoding
import DumpBasics
import DumpSource
import Foundation
import TestSupport
import Testing

/// Where the segments of a core stand in its file: in whatever order, and twice where they are two mappings.
@Suite struct SegmentPlaceTests {
  private static let addresses: [UInt64] = [0x10_0000, 0x20_0000, 0x30_0000, 0x40_0000]
  private let contents = SegmentPlaceTests.addresses.indices.map { noise(8192, seed: UInt64($0)) }

  private func core() -> SyntheticCore {
    SyntheticCore(zip(SegmentPlaceTests.addresses, contents).map { .init($0, $1) })
  }

  /// Segments of one size in another order than the table's: each place would fit a neighbour as well.
  @Test(arguments: [[0, 3, 2, 1], [3, 2, 1, 0], [1, 0, 3, 2], [0, 2, 1, 3]])
  func segmentsInAnyOrderKeepTheirPlaces(order: [Int]) throws {
    let scratch = try Scratch()
    var core = core()
    core.tamper = { entries in
      let places = entries.dropFirst().map(\.offset)
      for (index, place) in order.enumerated() { entries[index + 1].offset = places[place] }
    }
    try core.write(to: scratch.file("core"))
    let source = try openDump(scratch.file("core"))
    #expect(source.findings == [])
    for (index, address) in SegmentPlaceTests.addresses.enumerated() {
      #expect(try source.bytes(at: PhysicalAddress(address), count: 8192) == contents[order[index]])
    }
  }

  /// A wrong place lies in what belongs to another segment, in the headers, or behind the end.
  @Test(arguments: [1, 2, 3, 4], [0x1000, 0, 0x8000_0000, 0x4000] as [UInt64])
  func aPlaceThatIsTakenIsMended(index: Int, offset: UInt64) throws {
    let scratch = try Scratch()
    var core = core()
    var isSame = false
    core.tamper = { entries in
      isSame = entries[index].offset == offset
      entries[index].offset = offset
    }
    try core.write(to: scratch.file("core"))
    if isSame { return }
    let source = try openDump(scratch.file("core"))
    #expect(source.findings.count == 1)
    #expect(source.findings.first?.what.contains("p_offset \(hex(offset))") == true)
    for (address, content) in zip(SegmentPlaceTests.addresses, contents) {
      #expect(try source.bytes(at: PhysicalAddress(address), count: 8192) == content)
    }
  }

  /// What QEMU writes with paging on: the same memory by several mappings, which begin and end in different
  /// pages.
  @Test func severalMappingsOfOneMemoryAreNoFinding() throws {
    let scratch = try Scratch()
    var core = core()
    core.tamper = { entries in
      let whole = entries[1]
      // The pages of the first segment, and its second page alone, each by one more address.
      entries[2] = whole
      entries[2].virtualAddress = 0xffff_c900_0000_0000
      entries[3] = whole
      entries[3].virtualAddress = 0xffff_c900_0010_0000
      entries[3].physicalAddress += 4096
      entries[3].offset += 4096
      entries[3].fileSize -= 4096
      entries[3].memorySize -= 4096
    }
    try core.write(to: scratch.file("core"))
    let source = try openDump(scratch.file("core"))
    #expect(source.findings == [])
    #expect(try source.bytes(at: PhysicalAddress(0x10_0000), count: 8192) == contents[0])
  }
}
