import DumpBasics
import Testing

@testable import Arming

/// Which huge pages a rehearsal takes.
@Suite struct RehearsalTests {
  private let ram = [PhysicalRange(0, 2 << 30)].compactMap { $0 }
  private let page: UInt64 = 2 << 20

  @Test func theLongestStretchesBelowTheTop() throws {
    // Ten single pages, and a stretch of two.
    var addresses = (0..<10).map { UInt64(100 << 20) + $0 * 2 * page }
    addresses += [500 << 20, 500 << 20 + page]
    let extents = try rehearsalExtents(addresses.reversed(), ram, room: 0).ranges
    #expect(extents.count == 8 && extents.last?.count == 2 * page)
    #expect(extents.dropLast().map(\.start) == (0..<7).map { UInt64(100 << 20) + $0 * 2 * page })
  }

  @Test func nothingWhereTheNextKernelIsPut() throws {
    // 2 GiB less 256 MiB less three times the files.
    let edge = UInt64(2 << 30) - 256 << 20 - 30 << 20
    #expect(try rehearsalExtents([edge - page, edge], ram, room: 10 << 20).ranges.map(\.start) == [edge - page])
    #expect(throws: DumpError.self) { try rehearsalExtents([edge], ram, room: 10 << 20) }
  }
}
