#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// Where everything stands in a kdump-compressed file, after all claims of its two headers were checked
  /// against the file.
  struct KdumpLayout: Sendable {
    let header: KdumpHeader
    let subHeader: KdumpSubHeader
    /// Page frames that the bitmaps have a bit for.
    let frames: UInt64
    /// Those whose pages can be in this file: all, or those of a part.
    let part: Range<UInt64>
    /// The bitmap of memory that exists, and the one of pages that were written.
    let existing: UInt64
    let written: UInt64
    /// Where the page descriptors begin.
    let descriptors: UInt64

    var pageSize: PageSize { header.pageSize }

    init(_ content: any Content) throws(DumpError) {
      let name = content.name
      let header = try KdumpHeader(try content.start(KdumpHeader.size), name: name)
      let block = header.pageSize.bytes
      guard content.size >= block + UInt64(KdumpSubHeader.size) else {
        throw DumpError("the file is cut in its second header", at: name)
      }
      let second = try content.bytes(at: block, count: KdumpSubHeader.size)
      let subHeader = try KdumpSubHeader(second, version: header.version, header.identity.byteOrder, name: name)
      let frames = subHeader.frames.map { $0 == 0 ? UInt64(header.frames) : $0 } ?? UInt64(header.frames)

      let limit: UInt64 = 1 << (header.identity.architecture.physicalAddressBits - header.pageSize.shift)
      guard frames > 0, frames <= limit else {
        throw DumpError("max_mapnr is \(hex(frames))", at: name, advice: "the file is damaged")
      }
      guard header.subHeaderBlocks > 0 else {
        throw DumpError("sub_hdr_size is 0", at: "\(name), offset 0x1b0", advice: "the file is damaged, or of old diskdump")
      }
      // None of these can be past 2^64: the counts have 32 bits, a block at most 16.
      let bitmaps = (1 + UInt64(header.subHeaderBlocks)) * block
      let half = UInt64(header.bitmapBlocks / 2) * block
      guard half >= (frames + 7) / 8 else {
        throw DumpError(
          "bitmap_blocks is \(header.bitmapBlocks): too few for two bitmaps of \(frames) pages", at: "\(name), offset 0x1b4",
          advice: "the file is damaged")
      }
      existing = bitmaps
      written = bitmaps + half
      descriptors = bitmaps + UInt64(header.bitmapBlocks) * block
      // A part without any page ends with the last bit of its bitmaps.
      let needed = written + (frames + 7) / 8
      guard needed <= content.size else {
        throw DumpError(
          "the file is cut before its pages: \(humanBytes(content.size)) of at least \(humanBytes(needed)) are there", at: name)
      }
      let part = subHeader.part ?? 0..<frames
      self.part = part.clamped(to: 0..<frames)
      self.header = header
      self.subHeader = subHeader
      self.frames = frames
    }
  }
#endif
