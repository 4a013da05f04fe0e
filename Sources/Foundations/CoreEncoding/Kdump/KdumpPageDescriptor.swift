#if Kdump
  public import DumpBasics

  /// A page's place in the file: `page_desc`, one for each page that is there, in the order of the frames.
  public struct KdumpPageDescriptor: Sendable, Equatable {
    public static let size = 24

    /// 0: the page was lost when the file was written.
    public var offset: UInt64
    public var count: UInt32
    public var flags: UInt32
    /// `page_flags`. makedumpfile and QEMU write 0, and no reader looks at it.
    public var mark: KdumpPageMark?

    public init(offset: UInt64, count: UInt32, flags: UInt32, mark: KdumpPageMark? = nil) {
      self.offset = offset
      self.count = count
      self.flags = flags
      self.mark = mark
    }

    /// All that `bytes` hold whole.
    public static func decode(_ bytes: [UInt8], _ order: ByteOrder) -> [KdumpPageDescriptor] {
      let reader = ByteReader(bytes, order)
      return stride(from: 0, through: bytes.count - size, by: size).map {
        KdumpPageDescriptor(
          offset: reader.u64($0) ?? 0, count: reader.u32($0 + 8) ?? 0, flags: reader.u32($0 + 12) ?? 0,
          mark: KdumpPageMark(reader.u64($0 + 16) ?? 0))
      }
    }

    public func append(to writer: inout ByteWriter) {
      writer.u64(offset)
      writer.u32(count)
      writer.u32(flags)
      writer.u64(mark?.word ?? 0)
    }

    /// Whether it may lead to the data of a page, which stands behind `offset` of the file: where descriptors
    /// begin.
    public func canLead(behind start: UInt64, _ pageSize: PageSize) -> Bool {
      offset > start && count > 0 && UInt64(count) <= pageSize.bytes
    }

    /// Whether both lead to the same data.
    public func isSamePlace(_ other: KdumpPageDescriptor) -> Bool {
      offset == other.offset && count == other.count && flags == other.flags
    }
  }

  /// Which page a descriptor is of, and a checksum of it and of its data: what mcore writes into
  /// `page_flags`.
  ///
  /// The format has no checksums, and a descriptor is known by its number alone: one bit of a bitmap that is
  /// wrong moves every page behind it. With marks that is seen, and the bitmap is not needed.
  public struct KdumpPageMark: Sendable, Equatable {
    /// The frame's low 32 bits.
    public var frame: UInt32
    /// CRC-32 of `frame`, `count` and `flags` of the descriptor, little-endian, and of the data.
    public var checksum: UInt32

    public init(of frame: UInt64, flags: UInt32, _ data: UnsafeRawBufferPointer) {
      self.frame = UInt32(truncatingIfNeeded: frame)
      checksum = unsafe KdumpPageMark.checksum(self.frame, flags, data)
    }

    /// Nil for 0: there is none.
    public init?(_ word: UInt64) {
      guard word != 0 else { return nil }
      frame = UInt32(truncatingIfNeeded: word)
      checksum = UInt32(word >> 32)
    }

    public var word: UInt64 { UInt64(checksum) << 32 | UInt64(frame) }

    /// Whether this is the mark of a page with these flags and data.
    public func fits(flags: UInt32, _ data: UnsafeRawBufferPointer) -> Bool {
      unsafe checksum == KdumpPageMark.checksum(frame, flags, data)
    }

    private static func checksum(_ frame: UInt32, _ flags: UInt32, _ data: UnsafeRawBufferPointer) -> UInt32 {
      var head = (frame.littleEndian, UInt32(truncatingIfNeeded: data.count).littleEndian, flags.littleEndian)
      let seed = unsafe withUnsafeBytes(of: &head) { unsafe CRC32.of($0) }
      return unsafe CRC32.of(data, from: seed)
    }
  }
#endif
