public import DumpBasics
public import DumpSource
public import PageSelection
public import Workers

/// Which runs of pages have the content of other pages that stand earlier in the file: files that were read
/// twice or copied, the kernel's image in the page cache, what freed memory still holds. They get no place of
/// their own: their PT_LOADs point to the original's.
///
/// All memory is read once. Of each page the bytes in its middle are hashed, and of the hashes a part is
/// remembered that fits a table of fixed size (which part depends on the content alone, so that equal pages
/// are remembered or passed over together). Where one was seen before, the two pages are compared byte by
/// byte, and those around them, as far as they are equal: a run is found by any of its pages. So memory is
/// bounded whatever the machine has; on larger ones shorter runs are missed, which costs their bytes and
/// nothing else.
public struct SharedScan: Sendable {
  /// By address, disjoint. No original has a page in any of them.
  public private(set) var runs: [SharedRange] = []

  /// Bytes of the shortest run. Each costs two program headers, which slow every reader.
  public static let shortestRun: UInt64 = 32 << 10
  /// The most runs that are shared: the selection and the zero runs need program headers too.
  public static let runLimit = 10_000
  /// The most memory that is looked through. Writing begins only after that, at 5 GB/s for each CPU.
  public static let memoryLimit: UInt64 = 64 << 30

  /// For a dump that has nothing to share.
  public init() {}

  /// Looks through `kept` without what `zeros` has, in the order of the file, with all workers. Memory that
  /// can't be read is not shared. `progress` hears how many bytes are done, and of how many.
  public init(
    _ kept: [KeptRun], zeros: ZeroScan, _ source: any DumpSource, _ pageSize: PageSize, _ work: OrderedWork,
    memoryLimit: UInt64 = SharedScan.memoryLimit, progress: (UInt64, UInt64) -> Void
  ) throws(DumpError) {
    let pages = PageOrder(kept, zeros: zeros.longRuns, pageSize, limit: memoryLimit >> pageSize.shift)
    let units = pages.units(of: ScanBuffer.unit >> Int(pageSize.shift))
    let sampling = AnchorSampling(pages: pages.count)
    var matcher = SharedMatcher(pages, source, tableSize: sampling.tableSize)
    var done: UInt64 = 0
    try work.run(
      count: units.count, makeWorker: { ScanBuffer() }, makeSlot: { AnchorList() },
      work: { number, buffer, list throws(DumpError) in
        list.anchors.removeAll(keepingCapacity: true)
        buffer.find(units[number], pages, sampling, source, list)
      },
      consume: { number, list throws(DumpError) in
        for anchor in list.anchors where matcher.runs.count < SharedScan.runLimit { matcher.take(anchor) }
        done += UInt64(units[number].count) << pageSize.shift
        progress(done, UInt64(pages.count) << pageSize.shift)
      })
    runs = matcher.runs.sorted { $0.range.start < $1.range.start }
  }
}

/// A page whose hash is remembered.
struct Anchor {
  /// Its number in the order of the file.
  var page: Int
  var hash: UInt64
}

/// Which hashes are remembered: those whose lowest bits are zero, so many bits that the rest fits the table.
struct AnchorSampling {
  /// The most entries of a table, 8 bytes each (docs/performance.md, "What sharing costs and saves").
  static let tableLimit = 1 << 19
  /// Entries of the table for so many pages; a power of two.
  let tableSize: Int
  private let mask: UInt64

  init(pages: Int) {
    var size = 1
    while size < min(pages, AnchorSampling.tableLimit) { size *= 2 }
    tableSize = size
    var shift: UInt64 = 0
    while pages >> Int(shift) > size { shift += 1 }
    mask = (1 << shift) - 1
  }

  func takes(_ hash: UInt64) -> Bool { hash & mask == 0 }
}

private final class AnchorList {
  var anchors: [Anchor] = []
}

/// A worker's memory to read into.
@safe private final class ScanBuffer {
  /// Small enough to be still in the processor's cache when it is looked at; holds at least two pages of any
  /// size.
  static let size = 128 << 10
  /// What a worker does in one go.
  static let unit = 8 * size
  /// Bytes of a page that are hashed. They lie in its middle: the beginnings of pages are more alike
  /// (headers, free lists, zeros).
  private static let sample = 256
  private let memory: UnsafeMutableRawBufferPointer
  init() { unsafe memory = .allocate(byteCount: ScanBuffer.size, alignment: 4096) }
  deinit { unsafe memory.deallocate() }

  /// The anchors among the pages with these numbers, which are neighbours in memory.
  func find(_ numbers: Range<Int>, _ pages: PageOrder, _ sampling: AnchorSampling, _ source: any DumpSource, _ list: AnchorList) {
    let step = ScanBuffer.size >> Int(pages.pageSize.shift)
    for first in stride(from: numbers.lowerBound, to: numbers.upperBound, by: step) {
      look(at: first..<min(first + step, numbers.upperBound), pages, sampling, source, list)
    }
  }

  private func look(
    at numbers: Range<Int>, _ pages: PageOrder, _ sampling: AnchorSampling, _ source: any DumpSource, _ list: AnchorList
  ) {
    let pageBytes = Int(pages.pageSize.bytes)
    let buffer = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[0..<numbers.count * pageBytes])
    guard unsafe (try? source.read(at: pages.address(of: numbers.lowerBound), into: buffer)) != nil else { return }
    for page in numbers {
      let middle = (page - numbers.lowerBound) * pageBytes + pageBytes / 2
      let bytes = unsafe UnsafeRawBufferPointer(rebasing: buffer[middle..<middle + ScanBuffer.sample])
      if let hash = unsafe ScanBuffer.hash(bytes), sampling.takes(hash) { list.anchors.append(Anchor(page: page, hash: hash)) }
    }
  }

  /// Nil where all words are equal: such pages have too many equals to lead anywhere. Four lanes, since one
  /// would wait for itself.
  private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
    let first = unsafe bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
    var lanes = SIMD4<UInt64>(repeating: 0)
    var differs: UInt64 = 0
    for offset in stride(from: 0, to: sample, by: 32) {
      let words = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: SIMD4<UInt64>.self)
      let other = words ^ SIMD4(repeating: first)
      differs |= other[0] | other[1] | other[2] | other[3]
      // Wraps, as hashes do. The factor is 2^64 divided by the golden ratio.
      lanes = (lanes ^ words) &* SIMD4(repeating: 0x9e37_79b9_7f4a_7c15)
      lanes ^= lanes &>> SIMD4(repeating: 29)
    }
    if differs == 0 { return nil }
    let sum = lanes[0] ^ (lanes[1] &* 3) ^ (lanes[2] &* 5) ^ (lanes[3] &* 7)
    let mixed = (sum ^ (sum >> 32)) &* 0x9e37_79b9_7f4a_7c15
    return mixed ^ (mixed >> 32)
  }
}
