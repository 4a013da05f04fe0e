/// The last pieces of something that were read, by number, so that walks of page tables, lists and tables
/// don't read the same one again and again.
public struct RecentPieces: Sendable {
  private let limit: Int
  private var pieces: [UInt64: [UInt8]] = [:]
  /// Numbers in the order in which they came; the oldest goes first.
  private var order: [UInt64] = []
  private var oldest = 0

  /// Holds at most `limit` pieces, 1 or more.
  public init(limit: Int) { self.limit = max(1, limit) }

  public subscript(_ number: UInt64) -> [UInt8]? { pieces[number] }

  /// `number` is not held yet.
  public mutating func insert(_ number: UInt64, _ bytes: [UInt8]) {
    if order.count < limit {
      order.append(number)
    } else {
      pieces[order[oldest]] = nil
      order[oldest] = number
      oldest = (oldest + 1) % limit
    }
    pieces[number] = bytes
  }
}
