#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// Looks for the next page header of a file of LKCD, where a damaged one does not lead to it.
  struct LKCDSearch {
    /// So many bytes are looked through in all: a damaged header costs some thousand, and a file may claim
    /// exabytes of nothing.
    private var left: UInt64 = 256 << 20
    private static let pieceSize: UInt64 = 64 << 10
    private static let overlap = UInt64(LKCDPageHeader.size - 1)

    /// The first place from `start` on where a page header stands beyond doubt; nil where there is none, or
    /// it is too far away.
    mutating func next(from start: UInt64, _ content: any Content, _ rule: LKCDRule) -> UInt64? {
      var window = LKCDWindow(content)
      var offset = start
      while left > 0, content.size > LKCDSearch.overlap, offset < content.size - LKCDSearch.overlap {
        // A header may begin with the last zeros of a hole.
        guard let data = content.nextData(from: offset) else { return nil }
        offset = max(offset, data - min(data, LKCDSearch.overlap))
        guard offset < content.size - LKCDSearch.overlap else { return nil }
        let count = min(LKCDSearch.pieceSize, content.size - offset)
        guard let bytes = try? content.bytes(at: offset, count: Int(count)) else {
          left -= min(left, LKCDWindow.leastSize)
          offset = clampedSum(offset, LKCDWindow.leastSize)
          continue
        }
        left -= min(left, count)
        var from = 0
        while let candidate = LKCDSearch.candidate(bytes, from) {
          if rule.isSure(offset + UInt64(candidate), &window) { return offset + UInt64(candidate) }
          from = candidate + 1
        }
        offset += count - LKCDSearch.overlap
      }
      return nil
    }

    /// Where from `start` on the flags and the address could be those of a page.
    private static func candidate(_ bytes: [UInt8], _ start: Int) -> Int? {
      unsafe bytes.withUnsafeBytes { bytes in
        if start == 0, unsafe isZero(bytes) { return nil }
        var offset = start
        while offset + LKCDPageHeader.size <= bytes.count {
          let flags = unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
          if flags != 0, flags < 0x40 {
            let address = unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            if address & 0xfff == 0 { return offset }
          }
          offset += 1
        }
        return nil
      }
    }
  }
#endif
