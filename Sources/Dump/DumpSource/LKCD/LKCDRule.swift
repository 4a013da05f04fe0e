#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// What is taken for a page header.
  struct LKCDRule: Sendable {
    private let pageSize: PageSize
    private let addressBits: UInt64
    /// No page is packed into fewer bytes, by zlib or by RLE.
    private static let leastCount: UInt32 = 16

    init(_ header: LKCDHeader) {
      pageSize = header.pageSize
      addressBits = header.identity.architecture.physicalAddressBits
    }

    /// Whether this is the header of a page; its size may still be wild.
    func isPage(_ header: LKCDPageHeader) -> Bool { header.isPage(pageSize, addressBits: addressBits) }

    /// Whether this is the header of a page, or of the end, whose size can be.
    func isRight(_ header: LKCDPageHeader) -> Bool { header.isEnd || isPage(header) && header.hasRightSize(pageSize) }

    /// Whether a header that is right stands there, or the file ends there.
    func isLink(_ offset: UInt64, _ window: inout LKCDWindow) -> Bool {
      offset == window.content.size || window.header(at: offset).map(isRight) ?? false
    }

    /// Whether what stands there is the header of a page beyond doubt, by it and those that follow it.
    ///
    /// Memory is full of small numbers that look like the header of a compressed page. Three in a row are
    /// no chance, nor are two of pages that are neighbours. That of a raw page says a number that is rare,
    /// the end of the dump is as good as another header, and the end of the file as good as two.
    func isSure(_ start: UInt64, _ window: inout LKCDWindow) -> Bool {
      var (offset, points) = (start, 0)
      var last: UInt64?
      while points < 3 {
        if offset == window.content.size { return points > 0 }
        guard let header = window.header(at: offset), isRight(header) else { return false }
        if header.isEnd { return points > 1 }
        // A table in memory has the same over and over.
        guard header.count >= LKCDRule.leastCount, header.address != last else { return false }
        points += header.flags & LKCDPageHeader.raw != 0 ? 2 : 1
        if let last, header.address == clampedSum(last, pageSize.bytes) { points += 1 }
        last = header.address
        offset = clampedSum(clampedSum(offset, UInt64(LKCDPageHeader.size)), UInt64(header.count))
        if offset > window.content.size { return false }
      }
      return true
    }
  }
#endif
