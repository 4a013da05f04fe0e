#if Kdump
  internal import DumpBasics

  /// The memory of a file that has each page compressed for itself, from any number of threads.
  protocol PageStore: AnyObject, Sendable {
    /// What leads to a page, and to others that can be inflated with it.
    associatedtype Place
    var content: any Content { get }
    var pageSize: PageSize { get }
    /// Pages that were inflated last, for small reads as those of page tables are.
    var recent: InflatedBlocks { get }
    /// Nil where the file has no such page.
    func place(of frame: UInt64) -> Place?
    /// How many pages from `frame` on, which is at `place`, can be inflated in one go: at most `most`, which
    /// is at least 1.
    func together(_ frame: UInt64, _ place: Place, atMost most: UInt64) -> UInt64
    /// Fills `buffer` with these pages, the first of which is at `place`.
    func inflate(_ frames: Range<UInt64>, _ place: Place, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError)
  }

  extension PageStore {
    /// As `DumpSource` has it.
    func read(at address: PhysicalAddress, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
      guard !address.rawValue.addingReportingOverflow(UInt64(buffer.count)).overflow else {
        throw DumpError("physical address \(address) is not in the dump", at: content.name)
      }
      var done = 0
      while done < buffer.count {
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
        done += unsafe try readSome(at: address.rawValue + UInt64(done), into: rest)
      }
    }

    /// Fills `buffer`, which is at least one byte, from `address` on; returns how many bytes it gave, at
    /// least 1.
    private func readSome(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) -> Int {
      let frame = address >> pageSize.shift
      guard let place = place(of: frame) else {
        throw DumpError("physical address \(hex(address)) is not in the dump", at: content.name)
      }
      let skip = address & (pageSize.bytes - 1)
      let wholePages = UInt64(buffer.count) >> pageSize.shift
      if skip == 0, wholePages > 0 {
        let pages = together(frame, place, atMost: wholePages)
        let count = Int(pages << pageSize.shift)
        unsafe try inflate(frame..<frame + pages, place, into: UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count]))
        return count
      }
      let count = min(buffer.count, Int(pageSize.bytes - skip))
      let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count])
      if let copied = unsafe recent.copy(at: address, into: piece) { return copied }
      let page = unsafe try [UInt8].filled(Int(pageSize.bytes)) { (page) throws(DumpError) in
        unsafe try inflate(frame..<frame + 1, place, into: page)
      }
      recent.remember(page, at: frame << pageSize.shift)
      unsafe piece.copyBytes(from: page[Int(skip)..<Int(skip) + count])
      return count
    }
  }
#endif
