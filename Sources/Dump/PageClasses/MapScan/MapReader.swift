internal import CrashedKernel
internal import DumpBasics
internal import DumpSource

/// Reads the page map of sections, a piece at a time: one translation for each mapping (2 MiB, mostly), and
/// reads that stay in a processor's cache. One for each thread.
final class MapReader {
  let buffer: MapBuffer
  /// Pages in a piece.
  let piece: Int
  private let pair: MapBuffer
  private let memory: KernelMemory
  private let source: any DumpSource
  private let structSize: Int

  /// The mapping that was used last.
  private var mappedFrom: UInt64 = 0
  private var mappedTo: UInt64 = 0
  private var physical: UInt64 = 0

  /// What could not be read of the section at hand: offsets of pages from its start.
  private(set) var missing: [Range<Int>] = []
  private(set) var error: DumpError?
  /// Large pieces of physical memory that were found to hold the map of the section at hand.
  private(set) var extents: [MapExtent] = []
  private var failuresInARow = 0

  /// Pieces of 256 KiB of map: they fit a second-level cache together with what the scan needs.
  static let pieceBytes = 256 << 10
  /// After so many pages of memory in a row that can't be read, the rest of the section is taken for missing.
  private static let patience = 16
  /// Smaller extents are not compared with those of other sections: the map of huge pages' tails may be
  /// shared ("hugetlb_free_vmemmap").
  private static let largeExtent: UInt64 = 1 << 20

  /// `blockPages`: no piece is smaller than the largest free block.
  init(_ source: any DumpSource, _ memory: KernelMemory, structSize: Int, blockPages: Int) {
    self.source = source
    self.memory = memory
    self.structSize = structSize
    // The largest power of two of pages that fits, so that pieces are aligned to blocks.
    var pages = 1
    while pages * 2 * structSize <= MapReader.pieceBytes { pages *= 2 }
    piece = max(pages, blockPages)
    buffer = MapBuffer(pages: piece, structSize: structSize)
    pair = MapBuffer(pages: 2, structSize: structSize)
  }

  func begin() {
    missing.removeAll(keepingCapacity: true)
    extents.removeAll(keepingCapacity: true)
    error = nil
    failuresInARow = 0
  }

  /// Fills `buffer` with the map of `count` pages of `section`, `offset` pages in. What can't be read is
  /// zeros there, and stands in `missing`.
  func read(_ section: MapSection, offset: Int, count: Int) {
    var gaps: [Range<Int>] = []
    let start = section.map &+ UInt64(offset * structSize)  // wraps only for maps at the end of addresses; not mapped then
    let bytes = count * structSize
    var done = 0
    while done < bytes {
      let here = start &+ UInt64(done)
      let step = Int(memory.pageSize.bytes - (here & (memory.pageSize.bytes - 1)))
      if failuresInARow < MapReader.patience, let ready = readMapped(here, done, bytes - done) {
        done += ready
        failuresInARow = 0
      } else {
        failuresInARow += 1
        let gap = done..<min(bytes, done + step)
        gaps.append(gap)
        done = gap.upperBound
      }
    }
    for gap in gaps {
      let pages = gap.lowerBound / structSize..<(gap.upperBound + structSize - 1) / structSize
      buffer.zero(pages.lowerBound * structSize..<pages.upperBound * structSize)
      let inSection = offset + pages.lowerBound..<offset + pages.upperBound
      if let last = missing.last, last.upperBound >= inSection.lowerBound {
        missing[missing.count - 1] = last.lowerBound..<inSection.upperBound
      } else {
        missing.append(inSection)
      }
    }
  }

  /// Reads from `address` to the end of its mapping, at most `limit` bytes, to `offset` of the buffer; how
  /// many it were.
  private func readMapped(_ address: UInt64, _ offset: Int, _ limit: Int) -> Int? {
    do throws(DumpError) {
      try map(address)
      let from = physical + (address - mappedFrom)
      let whole = Int(min(UInt64(limit), mappedTo - address))
      do throws(DumpError) {
        try buffer.fill(offset..<offset + whole, from: source, at: PhysicalAddress(from))
        return whole
      } catch {
        // Some of it may be there: page by page.
        let page = min(whole, Int(memory.pageSize.bytes - (from & (memory.pageSize.bytes - 1))))
        if page == whole { throw error }
        try buffer.fill(offset..<offset + page, from: source, at: PhysicalAddress(from))
        return page
      }
    } catch {
      if self.error == nil { self.error = error }
      return nil
    }
  }

  private func map(_ address: UInt64) throws(DumpError) {
    if address >= mappedFrom && address < mappedTo { return }
    let found = try memory.mapping(VirtualAddress(address))
    let (end, overflow) = address.addingReportingOverflow(found.count)
    guard !overflow, !found.physical.rawValue.addingReportingOverflow(found.count).overflow else {
      throw DumpError("the mapping runs past the end of the address space", at: "kernel address \(hex(address))")
    }
    mappedFrom = address
    mappedTo = end
    physical = found.physical.rawValue
    if found.count >= MapReader.largeExtent, let range = PhysicalRange(start: physical, count: found.count) {
      extents.append(MapExtent(range: range, address: address))
    }
  }

  /// The two entries from `address` on: a compound page's head and first tail. Nil when they can't be read.
  func readPair(_ address: UInt64) -> MapBuffer? {
    guard let bytes = try? memory.read(VirtualAddress(address), count: 2 * structSize) else { return nil }
    pair.fill(with: bytes)
    return pair
  }
}

/// Physical memory that holds page map.
struct MapExtent: Sendable {
  var range: PhysicalRange
  /// Where it is mapped.
  var address: UInt64

  /// The pieces of map that share memory with another piece, each with the first byte shared: damage in page
  /// tables, that would give pages the classes of others. The same mapping found twice is none.
  static func shared(_ extents: [MapExtent]) -> [MapExtent] {
    var result: [MapExtent] = []
    var last: MapExtent?
    for extent in extents.sorted(by: { ($0.range.start, $0.address) < ($1.range.start, $1.address) }) {
      if let other = last, other.range.end > extent.range.start,
        other.address &- other.range.start != extent.address &- extent.range.start  // wraps: kernel addresses are high
      {
        result += [other, extent]
      }
      if let other = last, other.range.end > extent.range.end { continue }
      last = extent
    }
    return result
  }
}
