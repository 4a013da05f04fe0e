#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// Where everything stands in a kdump-compressed file, after all claims of its two headers were checked
  /// against the file.
  ///
  /// A claim that can't be, or after which no descriptors stand where they should, is replaced by what the
  /// other claims say of the same thing: the number of frames and the size of the bitmaps tell each other,
  /// and the notes tell how long the second header is. What was replaced is among `doubts`.
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
    let doubts: [DumpError]
    /// `max_mapnr` as it stands there. Bits behind it are read all the same.
    let statedFrames: UInt64

    var pageSize: PageSize { header.pageSize }

    init(_ content: any Content) throws(DumpError) {
      let name = content.name
      let header = try KdumpLayout.header(content)
      let block = header.pageSize.bytes
      guard content.size >= block + UInt64(KdumpSubHeader.size) else {
        throw DumpError("the file is cut in its second header", at: name)
      }
      let second = try content.bytes(at: block, count: KdumpSubHeader.size)
      let subHeader = try KdumpSubHeader(second, version: header.version, header.identity.byteOrder, name: name)
      var doubts = header.doubts + subHeader.doubts

      let claims = KdumpClaims(header, subHeader)
      let places = claims.candidates.first { $0.hasDescriptors(content, header) } ?? claims.stated
      doubts += claims.doubts(of: places, name)
      // A part without any page ends with the last bit of its bitmaps.
      let bits = places.bitmapBytes
      guard places.frames > 0, places.half >= bits else {
        throw DumpError(
          "bitmap_blocks is \(header.bitmapBlocks): too few for two bitmaps of \(claims.stated.frames) pages",
          at: "\(name), offset 0x1b4", advice: "the file is damaged")
      }
      let needed = places.bitmaps + places.half + bits
      guard needed <= content.size else {
        throw DumpError(
          "the file is cut before its pages: \(humanBytes(content.size)) of at least \(humanBytes(needed)) are there", at: name)
      }
      existing = places.bitmaps
      written = places.bitmaps + places.half
      descriptors = places.descriptors
      part = (subHeader.part ?? 0..<places.frames).clamped(to: 0..<places.frames)
      frames = places.frames
      self.header = header
      self.subHeader = subHeader
      self.doubts = doubts
      statedFrames = claims.stated.frames
    }

    /// The first header. Where it has no page size, the second one stands where its notes say that it does:
    /// they follow it at once.
    private static func header(_ content: any Content) throws(DumpError) -> KdumpHeader {
      let bytes = try content.start(KdumpHeader.size)
      let header = try KdumpHeader(bytes, name: content.name)
      guard header.pageSizeIsGuessed else { return header }
      for size in header.identity.architecture.pageSizes.sorted() {
        guard let pageSize = PageSize(bytes: size), let second = try? content.bytes(at: size, count: KdumpSubHeader.size),
          let read = try? KdumpSubHeader(
            second, version: header.version, header.identity.byteOrder, name: content.name),
          [read.notes, read.vmcoreinfo].contains(where: { $0?.offset == size + UInt64(KdumpSubHeader.size) })
        else { continue }
        return try KdumpHeader(bytes, pageSize: pageSize, name: content.name)
      }
      return header
    }
  }
#endif
