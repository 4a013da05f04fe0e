#if Kdump
  public import DumpBasics

  /// The second block of a kdump-compressed file. Versions know more of it from one to the next; what a
  /// version does not have is nil.
  public struct KdumpSubHeader: Sendable, Equatable {
    public static let size = 104

    /// Where something stands in the file, and its bytes.
    public struct Place: Sendable, Equatable {
      public var offset: UInt64
      public var count: UInt64
      public init(offset: UInt64, count: UInt64) {
        self.offset = offset
        self.count = count
      }
    }

    public var physicalBase: UInt64 = 0
    /// The `-d` of makedumpfile.
    public var dumpLevel: Int32 = 0
    /// The frames whose pages are in this file, where it is one of several.
    public var part: Range<UInt64>?
    public var vmcoreinfo: Place?
    public var notes: Place?
    public var eraseInfo: Place?
    /// `max_mapnr` in 64 bits: version 6.
    public var frames: UInt64?

    public init() {}

    /// `bytes` begin where the second block does.
    public init(_ bytes: [UInt8], version: UInt32, _ order: ByteOrder, name: String) throws(DumpError) {
      guard bytes.count >= KdumpSubHeader.size else { throw DumpError("the file is cut in its second header", at: name) }
      let reader = ByteReader(bytes, order)
      func word(_ offset: Int) -> UInt64 { reader.u64(offset) ?? 0 }
      func place(_ offset: Int) -> Place? {
        word(offset) == 0 || word(offset + 8) == 0 ? nil : Place(offset: word(offset), count: word(offset + 8))
      }
      physicalBase = word(0)
      dumpLevel = Int32(bitPattern: reader.u32(8) ?? 0)
      // Since version 2; in 64 bits again since 6, where only those are right beyond 2^32 frames on 32-bit
      // machines.
      if version >= 2, reader.u32(12) != 0 {
        let (start, end) = version >= 6 ? (word(80), word(88)) : (word(16), word(24))
        guard start <= end else {
          throw DumpError(
            "the frames of this part are \(hex(start)) to \(hex(end))", at: "\(name), second header",
            advice: "the file is damaged")
        }
        part = start..<end
      }
      if version >= 3 { vmcoreinfo = place(32) }
      if version >= 4 { notes = place(48) }
      if version >= 5 { eraseInfo = place(64) }
      if version >= 6 { frames = word(96) }
    }

    public func encoded(_ order: ByteOrder) -> [UInt8] {
      var writer = ByteWriter(order)
      writer.u64(physicalBase)
      writer.u32(UInt32(bitPattern: dumpLevel))
      writer.u32(part == nil ? 0 : 1)
      writer.u64(part?.lowerBound ?? 0)
      writer.u64(part?.upperBound ?? 0)
      for place in [vmcoreinfo, notes, eraseInfo] {
        writer.u64(place?.offset ?? 0)
        writer.u64(place?.count ?? 0)
      }
      writer.u64(part?.lowerBound ?? 0)
      writer.u64(part?.upperBound ?? 0)
      writer.u64(frames ?? 0)
      return writer.bytes
    }
  }

  /// A page's place in the file: `page_desc`, one for each page that is there, in the order of the frames.
  public struct KdumpPageDescriptor: Sendable, Equatable {
    public static let size = 24

    /// 0: the page was lost when the file was written.
    public var offset: UInt64
    public var count: UInt32
    public var flags: UInt32

    public init(offset: UInt64, count: UInt32, flags: UInt32) {
      self.offset = offset
      self.count = count
      self.flags = flags
    }

    /// All that `bytes` hold whole.
    public static func decode(_ bytes: [UInt8], _ order: ByteOrder) -> [KdumpPageDescriptor] {
      let reader = ByteReader(bytes, order)
      return stride(from: 0, through: bytes.count - size, by: size).map {
        KdumpPageDescriptor(
          offset: reader.u64($0) ?? 0, count: reader.u32($0 + 8) ?? 0, flags: reader.u32($0 + 12) ?? 0)
      }
    }

    public func append(to writer: inout ByteWriter) {
      writer.u64(offset)
      writer.u32(count)
      writer.u32(flags)
      writer.u64(0)
    }
  }
#endif
