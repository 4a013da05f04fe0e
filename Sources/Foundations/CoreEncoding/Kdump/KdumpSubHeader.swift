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
    /// What the header says that can't be.
    public private(set) var doubts: [DumpError] = []

    public init() {}

    /// Where what stands behind the header ends, in bytes from its block's start.
    public func end(of block: UInt64) -> UInt64 {
      [notes, vmcoreinfo, eraseInfo].compactMap { place -> UInt64? in
        guard let place, place.offset > block else { return nil }
        return place.offset.addingReportingOverflow(place.count).partialValue
      }.reduce(block + UInt64(KdumpSubHeader.size)) { $1 > $0 && $1 < block + 1 << 26 ? $1 : $0 }
    }

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
        if start <= end, end > 0 {
          part = start..<end
        } else {
          doubts.append(
            DumpError(
              "the frames of this part are \(hex(start)) to \(hex(end)): the file is taken for a whole one",
              at: "\(name), second header"))
        }
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
#endif
