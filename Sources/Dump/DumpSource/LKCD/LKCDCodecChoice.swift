#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// How the compressed pages of a file of LKCD are packed: what its header says, unless its pages say
  /// otherwise.
  ///
  /// A page is whole or it is not, so that pages tell. They tell the two kinds of RLE apart as well: the
  /// header has one number for both.
  struct LKCDCodecChoice {
    let codec: LKCDCodec
    private(set) var doubts: [DumpError] = []

    /// `samples`: where the data of some pages stands.
    init(_ content: any Content, _ header: LKCDHeader, samples: [Range<UInt64>]) throws(DumpError) {
      let packed: [LKCDCodec] = [.zlib, .rle, .shortRLE]
      let stated = packed.filter { $0.stated == header.compression }
      let inflater = try LKCDPageInflater()
      var best: (codec: LKCDCodec, pages: Int)?
      for codec in stated + packed where best?.pages != samples.count || best == nil {
        var pages = 0
        for sample in samples {
          guard let data = try? content.bytes(at: sample.lowerBound, count: sample.count) else { continue }
          if LKCDCodecChoice.isPage(data, codec, inflater, header.pageSize) { pages += 1 }
        }
        if pages > best?.pages ?? 0 { best = (codec, pages) }
      }
      codec = best?.codec ?? (samples.isEmpty ? .plain : stated.first ?? .plain)
      if codec != .plain, codec.stated != header.compression {
        doubts.append(
          DumpError(
            "dh_dump_compress is \(header.compression), and the pages are packed by \(codec.name)",
            at: "\(content.name), offset 0x2d2"))
      }
    }

    private static func isPage(
      _ data: [UInt8], _ codec: LKCDCodec, _ inflater: LKCDPageInflater, _ pageSize: PageSize
    ) -> Bool {
      let page = unsafe try? [UInt8].filled(Int(pageSize.bytes)) { (page) throws(DumpError) in
        unsafe try data.lent { (data) throws(DumpError) in unsafe try inflater.inflate(data, codec, into: page, at: "") }
      }
      return page != nil
    }
  }
#endif
