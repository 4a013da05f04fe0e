#if Kdump
  internal import DumpBasics

  /// Where the pages of a file of LKCD stand: pages that lie behind one another, in memory and in the file,
  /// share an entry of 32 bytes, at most 32 of them. Their headers are read again for each page.
  struct LKCDIndex: Sendable {
    /// Pages behind one another, all of one block of 32 frames.
    struct Entry: Sendable, Equatable {
      /// The first frame's number, divided by `framesPerBlock`.
      var block: UInt64
      /// Where the header of the first page is in the file.
      var offset: UInt64
      /// Bytes of the file from there, headers and data.
      var span: UInt32
      /// The frames of the block that are read from here: a bit each, the lowest is the first frame's.
      var owned: UInt32
      /// The first page's number in the block, and how many pages there are.
      var first: UInt8
      var count: UInt8

      func holds(_ frame: UInt64) -> Bool {
        block == frame / LKCDIndex.framesPerBlock && owned >> UInt32(frame % LKCDIndex.framesPerBlock) & 1 == 1
      }
    }

    static let framesPerBlock: UInt64 = 32
    /// A file with more entries is refused. 1 TiB in the order of addresses has as many; each takes 32 bytes.
    static let limit = 8 << 20

    /// In the order of the file, until `settle`; then by block, and in that by the order of the file.
    private(set) var entries: [Entry] = []
    /// Pages that stand in the file once more. The first one counts.
    private(set) var repeated: UInt64 = 0
    var isFull: Bool { entries.count > LKCDIndex.limit }

    /// Takes the page whose header is at `offset`; its data ends `span` bytes behind that. They come in the
    /// order of the file.
    mutating func append(_ frame: UInt64, at offset: UInt64, span: UInt32) {
      let number = UInt8(frame % LKCDIndex.framesPerBlock)
      let block = frame / LKCDIndex.framesPerBlock
      if var last = entries.last, last.block == block {
        // Nothing is kept for the same page over and over.
        if last.holds(frame) {
          repeated += 1
          return
        }
        let (end, isTooLong) = last.span.addingReportingOverflow(span)
        if number == last.first + last.count, last.offset + UInt64(last.span) == offset, !isTooLong {
          last.span = end
          last.count += 1
          last.owned |= 1 << UInt32(number)
          entries[entries.count - 1] = last
          return
        }
      }
      entries.append(Entry(block: block, offset: offset, span: span, owned: 1 << UInt32(number), first: number, count: 1))
    }

    /// Sorts, when all pages were taken: of a page that stands there twice the first one counts.
    mutating func settle() {
      entries.sort { ($0.block, $0.offset) < ($1.block, $1.offset) }
      var taken: UInt32 = 0
      var block: UInt64?
      for index in entries.indices {
        if entries[index].block != block { (block, taken) = (entries[index].block, 0) }
        let others = entries[index].owned & taken
        repeated += UInt64(others.nonzeroBitCount)
        entries[index].owned &= ~taken
        taken |= entries[index].owned
      }
      entries.removeAll { $0.owned == 0 }
    }

    /// The entry that the frame is read from.
    func entry(of frame: UInt64) -> Entry? {
      let block = frame / LKCDIndex.framesPerBlock
      var index = entries.partitionPoint { $0.block < block }
      // At most one for each frame of the block.
      while index < entries.count, entries[index].block == block {
        if entries[index].holds(frame) { return entries[index] }
        index += 1
      }
      return nil
    }

    /// All frames, of a list that is settled.
    var frames: FrameRuns {
      var runs = FrameRuns()
      var index = 0
      while index < entries.count {
        let block = entries[index].block
        var owned: UInt32 = 0
        while index < entries.count, entries[index].block == block {
          owned |= entries[index].owned
          index += 1
        }
        for number in 0..<LKCDIndex.framesPerBlock where owned >> UInt32(number) & 1 == 1 {
          let frame = block * LKCDIndex.framesPerBlock + number
          runs.append(frame, frame + 1)
        }
      }
      return runs
    }
  }
#endif
