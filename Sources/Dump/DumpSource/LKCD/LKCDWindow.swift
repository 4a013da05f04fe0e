#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// A part of a file of LKCD that moves along with who reads its page headers.
  struct LKCDWindow {
    let content: any Content
    private(set) var start: UInt64 = 0
    private(set) var bytes: [UInt8] = []
    private static let size: UInt64 = 256 << 10
    /// What is read where so much can't be: of a compressed file a block may be damaged.
    static let leastSize: UInt64 = 16 << 10

    init(_ content: any Content) { self.content = content }

    /// The page header at `offset`; nil where the file ends before it does, or can't be read.
    mutating func header(at offset: UInt64) -> LKCDPageHeader? {
      guard holds(offset, LKCDPageHeader.size) || move(to: offset) else { return nil }
      // Nil too where the part that could be read ends within it.
      return LKCDPageHeader(bytes, Int(offset - start))
    }

    /// Whether `count` bytes at `offset` are in it.
    private func holds(_ offset: UInt64, _ count: Int) -> Bool {
      offset >= start && offset - start <= UInt64(bytes.count) && count <= bytes.count - Int(offset - start)
    }

    /// Reads from a little before `offset` on, since who looks at a header looks at the one behind it too;
    /// returns whether anything could be read.
    private mutating func move(to offset: UInt64) -> Bool {
      bytes = []
      guard offset < content.size else { return false }
      let earlier = offset - min(offset, LKCDWindow.leastSize)
      for (from, size) in [(earlier, LKCDWindow.size), (offset, LKCDWindow.leastSize)] {
        if let read = try? content.bytes(at: from, count: Int(min(size, content.size - from))) {
          (start, bytes) = (from, read)
          return true
        }
      }
      return false
    }
  }
#endif
