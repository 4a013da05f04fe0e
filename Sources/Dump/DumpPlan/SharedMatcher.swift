internal import DumpBasics
internal import DumpSource

/// Takes anchors in the order of the file and makes runs of equal pages of them.
struct SharedMatcher {
  private(set) var runs: [SharedRange] = []

  private struct Entry {
    var page: UInt32 = .max
    var hash: UInt32 = 0
  }
  private let pages: PageOrder
  private let compared: ComparedPages
  private var table: [Entry]
  /// The anchors before this one, whatever became of them: as many as there can be in the compressor's
  /// window.
  private var recent = [Anchor](repeating: Anchor(page: 0, hash: 0), count: 8)
  private var nextRecent = 0
  /// How far back deflate looks (RFC 1951, 2); zstd looks further.
  private static let compressorWindow: UInt64 = 32 << 10
  /// What has no place of its own: page numbers, ascending, since anchors come in that order.
  private var taken: [Range<Int>] = []

  init(_ pages: PageOrder, _ source: any DumpSource, tableSize: Int) {
    self.pages = pages
    table = [Entry](repeating: Entry(), count: tableSize)
    compared = ComparedPages(pages, source)
  }

  /// `anchor` has a higher page number than any before.
  mutating func take(_ anchor: Anchor) {
    let repeats = isRepetition(anchor)
    recent[nextRecent] = anchor
    nextRecent = (nextRecent + 1) % recent.count
    guard !repeats, anchor.page >= taken.last?.upperBound ?? 0, let page = UInt32(exactly: anchor.page) else { return }
    let slot = Int(anchor.hash >> 32) & (table.count - 1)
    let entry = table[slot]
    let word = UInt32(truncatingIfNeeded: anchor.hash)
    if entry.page != .max, entry.hash == word, share(anchor.page, Int(entry.page)) { return }
    table[slot] = Entry(page: page, hash: word)
  }

  /// Whether the same content stood right before this page: then any compressor makes next to nothing of it,
  /// and runs of it, as short as runs may be, would use up all that there can be.
  private func isRepetition(_ anchor: Anchor) -> Bool {
    recent.contains {
      $0.hash == anchor.hash && UInt64(anchor.page - $0.page) << pages.pageSize.shift < SharedMatcher.compressorWindow
    }
  }

  /// Whether the pages are equal. When enough of those around them are too, they become a run.
  private mutating func share(_ page: Int, _ original: Int) -> Bool {
    // No page is an original that has no place itself; nor is one both in a run and the original of a run,
    // since all that was found so far lies before `free`, and so do its originals.
    let position = taken.partitionPoint { $0.upperBound <= original }
    if position < taken.count, taken[position].contains(original) { return false }
    let free = max(pages.stretch(of: page).first, taken.last?.upperBound ?? 0)
    let stretch = pages.stretch(of: original)
    let lowest = max(stretch.first, position > 0 ? taken[position - 1].upperBound : 0)
    let highest = min(stretch.numbers.upperBound, position < taken.count ? taken[position].lowerBound : .max)

    if compared.after(page, original, limit: 1) == 0 { return false }
    // The original ends where the run begins, or before.
    let before = compared.before(page, original, limit: min(page - free, original - lowest, page - original - 1))
    let start = page - before
    let most = min(pages.stretch(of: page).numbers.upperBound - page, highest - original, start - original)
    let count = before + 1 + compared.after(page + 1, original + 1, limit: most - 1)
    if UInt64(count) << pages.pageSize.shift >= SharedScan.shortestRun,
      let range = PhysicalRange(start: pages.address(of: start).rawValue, count: UInt64(count) << pages.pageSize.shift)
    {
      taken.append(start..<start + count)
      runs.append(SharedRange(range, original: pages.address(of: original - before)))
    }
    return true
  }
}

/// Compares pages byte by byte.
@safe private final class ComparedPages {
  private static let chunk = 64 << 10
  private let pages: PageOrder
  private let source: any DumpSource
  private let one: UnsafeMutableRawBufferPointer
  private let other: UnsafeMutableRawBufferPointer

  init(_ pages: PageOrder, _ source: any DumpSource) {
    self.pages = pages
    self.source = source
    unsafe one = .allocate(byteCount: ComparedPages.chunk, alignment: 4096)
    unsafe other = .allocate(byteCount: ComparedPages.chunk, alignment: 4096)
  }

  deinit {
    unsafe one.deallocate()
    unsafe other.deallocate()
  }

  /// How many pages from `page` on are equal to those from `original` on, and not zero; at most `limit`.
  func after(_ page: Int, _ original: Int, limit: Int) -> Int {
    growing(limit) { count, wanted in equal(page + count, original + count, 0..<wanted) }
  }

  /// The same of the pages before both, backwards.
  func before(_ page: Int, _ original: Int, limit: Int) -> Int {
    growing(limit) { count, wanted in equal(page - count - wanted, original - count - wanted, (0..<wanted).reversed()) }
  }

  /// Adds up what `step` finds of the pages wanted next, as long as it is all of them: one page at first,
  /// since most pages that are equal have neighbours that are not, then twice as many each time.
  private func growing(_ limit: Int, _ step: (_ count: Int, _ wanted: Int) -> Int) -> Int {
    var count = 0
    var size = 1
    while count < limit {
      let wanted = min(limit - count, size)
      let found = step(count, wanted)
      count += found
      if found < wanted { break }
      size = min(2 * size, ComparedPages.chunk >> Int(pages.pageSize.shift))
    }
    return count
  }

  /// How many pages are equal, looked at in this order, up to the first that is not. Memory that can't be
  /// read is equal to nothing.
  private func equal(_ page: Int, _ original: Int, _ order: some Collection<Int>) -> Int {
    let size = Int(pages.pageSize.bytes)
    guard unsafe read(page, order.count * size, one), unsafe read(original, order.count * size, other) else { return 0 }
    var count = 0
    for index in order {
      let mine = unsafe UnsafeRawBufferPointer(rebasing: one[index * size..<(index + 1) * size])
      let its = unsafe UnsafeRawBufferPointer(rebasing: other[index * size..<(index + 1) * size])
      guard unsafe isEqual(mine, its), unsafe !isZero(mine) else { break }
      count += 1
    }
    return count
  }

  private func read(_ page: Int, _ count: Int, _ memory: UnsafeMutableRawBufferPointer) -> Bool {
    let part = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[0..<count])
    return unsafe (try? source.read(at: pages.address(of: page), into: part)) != nil
  }
}
