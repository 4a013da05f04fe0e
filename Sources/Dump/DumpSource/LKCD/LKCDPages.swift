#if Kdump
  internal import CoreEncoding
  internal import DumpBasics
  internal import Synchronization

  /// The pages of a file of LKCD, inflated from any number of threads.
  final class LKCDPages: Sendable {
    let content: any Content
    let index: LKCDIndex
    let codec: LKCDCodec
    let pageSize: PageSize
    /// Pages that were inflated last, for small reads as those of page tables are.
    private let recent = InflatedBlocks(limit: 64)
    /// Inflaters that nobody is using.
    private let idle = Mutex<[Idle]>([])

    private struct Idle: @unchecked Sendable {
      // SAFETY: an inflater is either in the list, which the lock guards, or with the one thread that took it
      // out.
      let inflater: LKCDPageInflater
    }

    init(_ content: any Content, _ index: LKCDIndex, _ codec: LKCDCodec, _ pageSize: PageSize) {
      self.content = content
      self.index = index
      self.codec = codec
      self.pageSize = pageSize
    }

    /// Fills `buffer`, which is at least one byte, from `address` on; returns how many bytes it gave, at
    /// least 1.
    func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) -> Int {
      let frame = address >> pageSize.shift
      guard let entry = index.entry(of: frame) else {
        throw DumpError("physical address \(hex(address)) is not in the dump", at: content.name)
      }
      let skip = address & (pageSize.bytes - 1)
      if skip == 0, UInt64(buffer.count) >= pageSize.bytes {
        var pages: UInt64 = 1
        while pages < UInt64(buffer.count) >> pageSize.shift, entry.holds(frame + pages) { pages += 1 }
        let count = Int(pages << pageSize.shift)
        unsafe try inflate(entry, frame..<frame + pages, into: UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count]))
        return count
      }
      let count = min(buffer.count, Int(pageSize.bytes - skip))
      let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count])
      if let copied = unsafe recent.copy(at: address, into: piece) { return copied }
      let page = unsafe try [UInt8].filled(Int(pageSize.bytes)) { (page) throws(DumpError) in
        unsafe try inflate(entry, frame..<frame + 1, into: page)
      }
      recent.remember(page, at: frame << pageSize.shift)
      unsafe piece.copyBytes(from: page[Int(skip)..<Int(skip) + count])
      return count
    }

    /// Walks over the pages of an entry, and gives those that are wanted, which lie behind one another in it.
    private func inflate(
      _ entry: LKCDIndex.Entry, _ frames: Range<UInt64>, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DumpError) {
      let ready = idle.withLock { $0.popLast() }
      let taken = if let ready { ready } else { Idle(inflater: try LKCDPageInflater()) }
      defer { idle.withLock { $0.append(taken) } }
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
            unsafe try taken.inflater.inflate(data, codec, into: page, at: name)
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
