#if Zstd
  internal import CoreEncoding
  internal import DumpBasics
  internal import LinuxSystem

  /// Where the frames of a zstd file are.
  struct ZstdIndex {
    /// Those that hold something, by offset.
    var frames: [ZstdContent.Frame] = []
    /// What ended the walk early.
    var damage: DumpError?
    /// Whether what stopped the walk is there and wrong, not missing.
    var isCorrupt = false
    /// Where the last skippable frame ends: behind a seek table nothing of the dump follows.
    private(set) var endOfTable: UInt64?
    private var start: UInt64 = 0
    private var compressed: UInt64 = 0

    /// False when a sum is past 2^64, or the frame is too large to be inflated into memory.
    private mutating func append(compressed length: UInt64, size: UInt64) -> Bool {
      let (end, overflow) = start.addingReportingOverflow(size)
      let (next, overflow2) = compressed.addingReportingOverflow(length)
      guard !overflow, !overflow2 else { return false }
      if size > 0 {
        guard size <= ZstdContent.largestFrame, length <= ZstdContent.largestFrame + 1 << 20 else { return false }
        frames.append(.init(start: start, compressed: compressed, compressedSize: UInt32(length), size: UInt32(size)))
      }
      start = end
      compressed = next
      return true
    }

    /// Nil when there is no seek table, or one that does not fit the file.
    static func bySeekTable(_ file: borrowing File, _ fileSize: UInt64) throws(DumpError) -> ZstdIndex? {
      let footerSize = UInt64(ZstdSeekTable.footerSize)
      guard fileSize > footerSize else { return nil }
      let footer = try file.bytes(at: fileSize - footerSize, count: Int(footerSize))
      guard let tableSize = ZstdSeekTable.frameSize(footer), tableSize <= fileSize,
        let table = ZstdSeekTable(try file.bytes(at: fileSize - tableSize, count: Int(tableSize)))
      else { return nil }
      var index = ZstdIndex()
      index.frames.reserveCapacity(table.entries.count)
      for entry in table.entries {
        guard index.append(compressed: UInt64(entry.compressed), size: UInt64(entry.content)) else { return nil }
      }
      // Every byte of the file belongs to a frame of the table, or the table is another file's.
      return index.compressed == fileSize - tableSize && !index.frames.isEmpty ? index : nil
    }

    /// Goes from frame to frame and from block to block by their headers, to the end or to where no frame
    /// follows.
    static func byWalking(_ file: borrowing File, _ fileSize: UInt64) throws(DumpError) -> ZstdIndex {
      var index = ZstdIndex()
      while index.compressed < fileSize {
        let position = index.compressed
        let place = "\(file.path), offset \(hex(position))"
        let header = try file.bytes(at: position, count: ZstdFrame.longestHeader)
        guard let frame = ZstdFrame(header) else {
          index.isCorrupt = header.count >= ZstdFrame.longestHeader
          index.damage =
            index.isCorrupt
            ? DumpError("no zstd frame here", at: place, advice: "the file is damaged")
            : DumpError("the file is cut in a frame's header", at: place)
          break
        }
        guard !frame.needsDictionary else {
          throw DumpError(.unsupported, "zstd with a dictionary", at: place, advice: "decompress it with zstd -d -D")
        }
        guard let size = frame.contentSize, size <= ZstdContent.largestFrame else {
          if !index.frames.isEmpty {
            index.isCorrupt = true
            index.damage = DumpError("a zstd frame without size, or a very large one", at: place, advice: "the file is damaged")
            break
          }
          throw DumpError(
            .unsupported, "zstd, but not in frames of at most 16 MiB: it can't be read at an offset", at: file.path,
            advice: "decompress it with zstd -d")
        }
        let end = try endOfFrame(file, position, frame)
        guard let end, end <= fileSize else {
          index.isCorrupt = end == nil
          index.damage = DumpError(index.isCorrupt ? "damaged frame" : "the file is cut in a frame", at: place)
          break
        }
        if frame.skippedSize != nil { index.endOfTable = end }
        guard index.append(compressed: end - position, size: size) else {
          index.isCorrupt = true
          index.damage = DumpError("a zstd frame of impossible size", at: place, advice: "the file is damaged")
          break
        }
      }
      return index
    }

    /// Where the frame ends, which may be past the end of the file. Nil when a block's header can't be one.
    private static func endOfFrame(
      _ file: borrowing File, _ start: UInt64, _ frame: ZstdFrame
    ) throws(DumpError) -> UInt64? {
      var position = start + UInt64(frame.headerSize)
      if let skipped = frame.skippedSize { return position + skipped }
      while true {
        let header = try file.bytes(at: position, count: ZstdFrame.blockHeaderSize)
        if header.count < ZstdFrame.blockHeaderSize { return .max }
        guard let block = ZstdFrame.block(header) else { return nil }
        position += UInt64(ZstdFrame.blockHeaderSize) + block.size
        if block.isLast { return position + (frame.hasChecksum ? 4 : 0) }
      }
    }
  }
#endif
