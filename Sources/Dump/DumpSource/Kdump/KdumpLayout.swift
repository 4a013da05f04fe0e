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
      let bits = (places.frames + 7) / 8
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

  /// What the headers say of the places, and what else they could mean.
  struct KdumpClaims {
    struct Places {
      var frames: UInt64
      var subHeaderBlocks: UInt64
      var bitmapBlocks: UInt64
      var block: UInt64

      // None of these can be past 2^64: the counts have 32 bits, a block at most 16.
      var bitmaps: UInt64 { (1 + subHeaderBlocks) * block }
      var half: UInt64 { bitmapBlocks / 2 * block }
      var descriptors: UInt64 { bitmaps + bitmapBlocks * block }

      /// Whether page descriptors stand behind the bitmaps: a few that lead into the file.
      func hasDescriptors(_ content: any Content, _ header: KdumpHeader) -> Bool {
        guard frames > 0, subHeaderBlocks > 0, half >= (frames + 7) / 8, descriptors < content.size,
          let bytes = try? content.bytes(at: descriptors, count: Int(min(content.size - descriptors, 16 * 24)))
        else { return false }
        let places = KdumpPageDescriptor.decode(bytes, header.identity.byteOrder)
        let start = descriptors
        // Before the first data the rest of a small file is no descriptor.
        let end = places.compactMap { $0.offset > start && $0.offset < start + 16 * 24 ? $0.offset : nil }.min()
        let count = end.map { Int(($0 - start) / UInt64(KdumpPageDescriptor.size)) } ?? places.count
        let good = places.prefix(count).count {
          $0.offset == 0 && $0.count == 0
            || $0.offset > start && $0.count > 0 && UInt64($0.count) <= block && KdumpCodec(flags: $0.flags) != nil
        }
        // One of them may be damaged itself.
        return good > 0 && good + 1 >= min(count, places.count)
          && places.prefix(count).contains { $0.offset > start && $0.offset < content.size }
      }
    }

    let stated: Places
    private(set) var candidates: [Places]

    init(_ header: KdumpHeader, _ subHeader: KdumpSubHeader) {
      let block = header.pageSize.bytes
      let limit: UInt64 = 1 << (header.identity.architecture.physicalAddressBits - header.pageSize.shift)
      let claimed = subHeader.frames.map { $0 == 0 ? UInt64(header.frames) : $0 } ?? UInt64(header.frames)
      let subBlocks = [UInt64(header.subHeaderBlocks), (subHeader.end(of: block) - block + block - 1) / block]
      stated = Places(
        frames: claimed, subHeaderBlocks: subBlocks[0], bitmapBlocks: UInt64(header.bitmapBlocks), block: block)
      // Bits behind the last frame are zeros: as many frames as the bitmaps hold are never too many.
      let held = UInt64(header.bitmapBlocks / 2) * block * 8
      candidates = []
      for frames in [claimed, UInt64(header.frames), held] where frames > 0 && frames <= limit {
        for subHeaderBlocks in subBlocks where subHeaderBlocks > 0 {
          // Each bitmap is whole blocks.
          let needed = 2 * (((frames + 7) / 8 + block - 1) / block)
          for bitmapBlocks in [UInt64(header.bitmapBlocks), needed] where bitmapBlocks > 0 {
            candidates.append(
              Places(frames: frames, subHeaderBlocks: subHeaderBlocks, bitmapBlocks: bitmapBlocks, block: block))
          }
        }
      }
      // What a count that is too small would hide, bits tell.
      candidates = candidates.map { candidate in
        var widest = candidate
        widest.frames = min(max(candidate.frames, candidate.half * 8), limit)
        return widest
      }
    }

    /// What of the claims is not what `places` go by.
    func doubts(of places: Places, _ name: String) -> [DumpError] {
      var doubts: [DumpError] = []
      func doubt(_ field: String, _ offset: String, _ claimed: UInt64, _ taken: UInt64) {
        doubts.append(
          DumpError("\(field) is \(hex(claimed)): it is taken for \(hex(taken))", at: "\(name), offset \(offset)"))
      }
      if stated.subHeaderBlocks != places.subHeaderBlocks {
        doubt("sub_hdr_size", "0x1b0", stated.subHeaderBlocks, places.subHeaderBlocks)
      }
      if stated.bitmapBlocks != places.bitmapBlocks {
        doubt("bitmap_blocks", "0x1b4", stated.bitmapBlocks, places.bitmapBlocks)
      }
      if stated.frames > places.frames { doubt("max_mapnr", "0x1b8", stated.frames, places.frames) }
      return doubts
    }
  }
#endif
