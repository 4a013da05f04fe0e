/// Counts the zero pages of a group of the file while its bytes pass by: pieces of memory in the order of the
/// file, of which each may begin and end inside a page. No page lies in two groups.
public struct ZeroCount: Sendable {
  public private(set) var pages: UInt64 = 0
  private let pageSize: PageSize
  /// Whether the page that was begun has been zero so far.
  private var isZeroSoFar = true

  public init(_ pageSize: PageSize) { self.pageSize = pageSize }

  /// `bytes` are memory from `address` on. `isLast`: no more of its last page follows.
  public mutating func add(_ bytes: UnsafeRawBufferPointer, at address: UInt64, isLast: Bool) {
    var offset = 0
    while offset < bytes.count {
      let whole = Int(pageSize.bytes - (address + UInt64(offset)) % pageSize.bytes)
      let count = min(bytes.count - offset, whole)
      isZeroSoFar = unsafe isZeroSoFar && isZero(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]))
      offset += count
      if count == whole || isLast && offset == bytes.count {
        if isZeroSoFar { pages += 1 }
        isZeroSoFar = true
      }
    }
  }
}
