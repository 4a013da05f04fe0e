#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// The pages of a file of LKCD, inflated from any number of threads.
  final class LKCDPages: PageStore {
    let content: any Content
    let index: LKCDIndex
    let codec: LKCDCodec
    let pageSize: PageSize
    let recent = InflatedBlocks(limit: 64)
    private let inflaters = IdlePool<LKCDPageInflater>()

    init(_ content: any Content, _ index: LKCDIndex, _ codec: LKCDCodec, _ pageSize: PageSize) {
      self.content = content
      self.index = index
      self.codec = codec
      self.pageSize = pageSize
    }

    func place(of frame: UInt64) -> LKCDIndex.Entry? { index.entry(of: frame) }

    func together(_ frame: UInt64, _ entry: LKCDIndex.Entry, atMost most: UInt64) -> UInt64 {
      var pages: UInt64 = 1
      while pages < most, entry.holds(frame + pages) { pages += 1 }
      return pages
    }

    func inflate(
      _ frames: Range<UInt64>, _ entry: LKCDIndex.Entry, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DumpError) {
      try inflaters.lend { () throws(DumpError) in
        try LKCDPageInflater()
      } _: { (inflater) throws(DumpError) in
        unsafe try inflate(frames, entry, inflater, into: buffer)
      }
    }

    /// Walks over the pages of an entry, and gives those that are wanted, which lie behind one another in it.
    private func inflate(
      _ frames: Range<UInt64>, _ entry: LKCDIndex.Entry, _ inflater: LKCDPageInflater,
      into buffer: UnsafeMutableRawBufferPointer
    ) throws(DumpError) {
      let size = Int(pageSize.bytes)
      let first = entry.block * LKCDIndex.framesPerBlock + UInt64(entry.first)
      // Where that can't be read as a whole each page is read for itself.
      let part = Part(content, entry)
      var offset = entry.offset
      for frame in first..<min(first + UInt64(entry.count), frames.upperBound) {
        let name = "\(content.name), pfn \(hex(frame))"
        let header = try part.header(at: offset, name)
        guard header.address >> pageSize.shift == frame else {
          throw DumpError("the page's header at \(hex(offset)) has changed since the file was opened", at: name)
        }
        let start = offset + UInt64(LKCDPageHeader.size)
        offset = clampedSum(start, UInt64(header.count))
        guard frames.contains(frame) else { continue }
        let number = Int(frame - frames.lowerBound)
        let page = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[number * size..<(number + 1) * size])
        guard header.hasRightSize(pageSize) else {
          throw DumpError(
            "page data of \(header.count) bytes", at: "\(name), offset \(hex(start - 8))", advice: "other pages can be read")
        }
        if header.count == 0 {
          // As crash takes it.
          unsafe page.initializeMemory(as: UInt8.self, repeating: 0)
          continue
        }
        unsafe try part.bytes(at: start, count: Int(header.count), name).lent { (data) throws(DumpError) in
          if header.flags & LKCDPageHeader.compressed != 0 {
            unsafe try inflater.inflate(data, codec, into: page, at: name)
          } else {
            unsafe page.copyMemory(from: data)
          }
        }
      }
    }

    /// The part of the file that an entry stands for.
    private struct Part {
      let content: any Content
      let start: UInt64
      let bytes: [UInt8]

      init(_ content: any Content, _ entry: LKCDIndex.Entry) {
        self.content = content
        start = entry.offset
        bytes = (try? content.bytes(at: entry.offset, count: Int(entry.span))) ?? []
      }

      func header(at offset: UInt64, _ name: String) throws(DumpError) -> LKCDPageHeader {
        guard let header = LKCDPageHeader(Array(try bytes(at: offset, count: LKCDPageHeader.size, name)), 0) else {
          throw DumpError("no page header at \(hex(offset))", at: name)
        }
        return header
      }

      func bytes(at offset: UInt64, count: Int, _ name: String) throws(DumpError) -> ArraySlice<UInt8> {
        if offset >= start, offset - start <= UInt64(bytes.count), count <= bytes.count - Int(offset - start) {
          return bytes[Int(offset - start)..<Int(offset - start) + count]
        }
        guard offset <= content.size, UInt64(count) <= content.size - offset else {
          throw DumpError("page data at \(hex(offset)) is in the part of the file that is cut off", at: name)
        }
        do throws(DumpError) { return try content.bytes(at: offset, count: count)[...] } catch { throw error.inside(name) }
      }
    }
  }
#endif
