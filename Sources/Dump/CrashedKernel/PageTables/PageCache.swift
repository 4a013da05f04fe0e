/// The last few pages that were read, so that walks of page tables and lists don't read the same page again
/// and again.
struct PageCache: Sendable {
  /// Pages held: at most 64 × 64 KiB.
  private static let limit = 64
  private var pages: [UInt64: [UInt8]] = [:]
  /// Frames in the order in which they came; the oldest goes first.
  private var order: [UInt64] = []
  private var oldest = 0

  subscript(_ frame: UInt64) -> [UInt8]? { pages[frame] }

  mutating func insert(_ frame: UInt64, _ bytes: [UInt8]) {
    if order.count < PageCache.limit {
      order.append(frame)
    } else {
      pages[order[oldest]] = nil
      order[oldest] = frame
      oldest = (oldest + 1) % PageCache.limit
    }
    pages[frame] = bytes
  }
}
