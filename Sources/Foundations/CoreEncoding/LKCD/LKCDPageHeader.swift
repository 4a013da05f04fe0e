#if Kdump
  public import DumpBasics

  /// What stands before the data of each page in a dump of LKCD: `dump_page_t` (include/linux/dump.h of LKCD,
  /// lkcd_dump_v8.h of crash).
  public struct LKCDPageHeader: Sendable, Equatable {
    public static let size = 16
    /// `dp_flags`: DUMP_DH_RAW, _COMPRESSED, _END, _TRUNCATED, _TEST_PATTERN. The last is of no meaning here.
    public static let raw: UInt32 = 1
    public static let compressed: UInt32 = 2
    public static let end: UInt32 = 4
    public static let truncated: UInt32 = 8
    private static let known: UInt32 = 0x3f

    /// The page's physical address.
    public var address: UInt64
    /// Bytes of data that follow.
    public var count: UInt32
    public var flags: UInt32

    public init(address: UInt64, count: UInt32, flags: UInt32) {
      self.address = address
      self.count = count
      self.flags = flags
    }

    /// The one at `offset` of `bytes`; nil where they end before it does.
    public init?(_ bytes: [UInt8], _ offset: Int) {
      let reader = ByteReader(bytes, .little)
      guard let address = reader.u64(offset), let count = reader.u32(offset + 8), let flags = reader.u32(offset + 12) else {
        return nil
      }
      self.init(address: address, count: count, flags: flags)
    }

    /// Whether this ends the dump. Its address is not set: LKCD's writer leaves there what was in memory.
    public var isEnd: Bool {
      flags & LKCDPageHeader.end != 0 && flags & ~LKCDPageHeader.known == 0 && count == 0
    }

    /// Whether this is the header of a page, of a machine with so many bits of address; its size may still
    /// be wild.
    public func isPage(_ pageSize: PageSize, addressBits: UInt64) -> Bool {
      let kind = flags & (LKCDPageHeader.raw | LKCDPageHeader.compressed)
      return (kind == LKCDPageHeader.raw || kind == LKCDPageHeader.compressed) && flags & LKCDPageHeader.end == 0
        && flags & ~LKCDPageHeader.known == 0 && address & (pageSize.bytes - 1) == 0 && address >> addressBits == 0
    }

    /// Whether so much data can be that of a page. Raw without data is a page of zeros for crash; what is
    /// compressed is smaller than the page, where LKCD wrote it.
    public func hasRightSize(_ pageSize: PageSize) -> Bool {
      flags & LKCDPageHeader.raw != 0
        ? UInt64(count) == pageSize.bytes || count == 0 : count > 0 && UInt64(count) <= 2 * pageSize.bytes
    }

    public func append(to writer: inout ByteWriter) {
      writer.u64(address)
      writer.u32(count)
      writer.u32(flags)
    }
  }
#endif
