#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// What the headers say of the places, and what else they could mean.
  struct KdumpClaims {
    struct Places {
      var frames: UInt64
      var subHeaderBlocks: UInt64
      var bitmapBlocks: UInt64
      var pageSize: PageSize
      private var block: UInt64 { pageSize.bytes }
      /// Bytes of descriptors that are looked at.
      private static let samples = UInt64(16 * KdumpPageDescriptor.size)

      init(_ frames: UInt64, subHeaderBlocks: UInt64, bitmapBlocks: UInt64, _ pageSize: PageSize) {
        self.frames = frames
        self.subHeaderBlocks = subHeaderBlocks
        self.bitmapBlocks = bitmapBlocks
        self.pageSize = pageSize
      }

      // None of these can be past 2^64: the counts have 32 bits, a block at most 16.
      var bitmaps: UInt64 { (1 + subHeaderBlocks) * block }
      var half: UInt64 { bitmapBlocks / 2 * block }
      /// Bytes of a bitmap that has a bit for each frame, of which a file may claim any number.
      var bitmapBytes: UInt64 { frames / 8 + (frames % 8 == 0 ? 0 : 1) }
      var descriptors: UInt64 { bitmaps + bitmapBlocks * block }

      /// Whether page descriptors stand behind the bitmaps: a few that lead into the file.
      func hasDescriptors(_ content: any Content, _ header: KdumpHeader) -> Bool {
        guard frames > 0, subHeaderBlocks > 0, half >= bitmapBytes, descriptors < content.size,
          let bytes = try? content.bytes(at: descriptors, count: Int(min(content.size - descriptors, Places.samples)))
        else { return false }
        let places = KdumpPageDescriptor.decode(bytes, header.identity.byteOrder)
        let start = descriptors
        // Before the first data the rest of a small file is no descriptor.
        let end = places.compactMap { $0.offset > start && $0.offset < start + Places.samples ? $0.offset : nil }.min()
        let count = end.map { Int(($0 - start) / UInt64(KdumpPageDescriptor.size)) } ?? places.count
        let good = places.prefix(count).count {
          $0.offset == 0 && $0.count == 0
            || $0.canLead(behind: start, pageSize) && KdumpCodec(flags: $0.flags) != nil
        }
        // One of them may be damaged itself.
        return good > 0 && good + 1 >= min(count, places.count)
          && places.prefix(count).contains { $0.offset > start && $0.offset < content.size }
      }
    }

    let stated: Places
    private(set) var candidates: [Places] = []

    init(_ header: KdumpHeader, _ subHeader: KdumpSubHeader) {
      let block = header.pageSize.bytes
      let limit: UInt64 = 1 << (header.identity.architecture.physicalAddressBits - header.pageSize.shift)
      let claimed = subHeader.frames.map { $0 == 0 ? UInt64(header.frames) : $0 } ?? UInt64(header.frames)
      let subBlocks = [UInt64(header.subHeaderBlocks), (subHeader.end(of: block) - block + block - 1) / block]
      stated = Places(
        claimed, subHeaderBlocks: subBlocks[0], bitmapBlocks: UInt64(header.bitmapBlocks), header.pageSize)
      // Bits behind the last frame are zeros: as many frames as the bitmaps hold are never too many.
      let held = UInt64(header.bitmapBlocks / 2) * block * 8
      for frames in [claimed, UInt64(header.frames), held] where frames > 0 && frames <= limit {
        for subHeaderBlocks in subBlocks where subHeaderBlocks > 0 {
          // Each bitmap is whole blocks.
          let needed = 2 * (((frames + 7) / 8 + block - 1) / block)
          for bitmapBlocks in [UInt64(header.bitmapBlocks), needed] where bitmapBlocks > 0 {
            var places = Places(frames, subHeaderBlocks: subHeaderBlocks, bitmapBlocks: bitmapBlocks, header.pageSize)
            // What a count that is too small would hide, bits tell.
            places.frames = min(max(frames, places.half * 8), limit)
            candidates.append(places)
          }
        }
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
