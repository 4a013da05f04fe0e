#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// Which pages the descriptors are of, as they say themselves: in files of ours (`KdumpPageMark`).
  ///
  /// Others' files have no marks. There a descriptor is known by its number, and all that can be seen of a
  /// wrong bit is that the bitmap names more pages, or fewer, than there are descriptors.
  struct KdumpMarks {
    private(set) var isThere = false
    /// The frames that have a descriptor, if the bitmap does not tell them right.
    private(set) var runs: FrameRuns?
    /// Frames of which one has a descriptor that is damaged.
    private(set) var unsure = FrameRuns()
    private(set) var findings: [DumpError] = []

    /// So many descriptors, spread over all, tell whether the file has marks.
    private static let samples: UInt64 = 16
    /// So many are read at once.
    private static let batch: UInt64 = 4096

    /// `pages` are by the bitmap.
    init(_ pages: KdumpPages) throws(DumpError) {
      let count = pages.runs.count
      let descriptors = pages.layout.descriptors
      let size = UInt64(KdumpPageDescriptor.size)
      guard count > 0, let start = try KdumpMarks.dataStart(pages), start > descriptors else { return }
      let number = (start - descriptors) / size
      var sampled: [(number: UInt64, place: KdumpPageDescriptor)] = []
      // One of the two numbers may be far too large.
      for spread in [number, count] where !isThere {
        sampled = try KdumpMarks.sample(pages, min(spread, pages.descriptorRoom))
        isThere = sampled.count { pages.isMarkRight($0.place) } * 2 > sampled.count
      }
      let place = "\(pages.content.name), offset \(hex(pages.layout.written))"
      if isThere {
        let isRight =
          number == count
          && sampled.allSatisfy { sample in
            guard let mark = sample.place.mark, let frame = pages.runs.frame(sample.number) else { return true }
            return mark.frame == UInt32(truncatingIfNeeded: frame)
          }
        guard !isRight else { return }
        try rebuild(pages, number)
        // A descriptor that is damaged is named when its page is read.
        guard let runs, runs != pages.runs else {
          self.runs = nil
          return
        }
        findings.append(
          DumpError(
            "the bitmap of pages (\(count)) and the page descriptors (\(runs.count)) do not fit", at: place,
            advice: unsure.runs.isEmpty
              ? "the descriptors say which pages they are of: nothing is lost"
              : "the descriptors say which pages they are of; those of \(unsure.count) pages are damaged"))
      } else if number < count {
        findings.append(KdumpMarks.moved(count, number, place))
      } else if number > count, pages.layout.subHeader.part == nil, (start - descriptors) % size == 0,
        try KdumpMarks.areDescriptors(pages, count..<number)
      {
        findings.append(KdumpMarks.moved(count, number, place))
      }
    }

    private static func moved(_ count: UInt64, _ number: UInt64, _ place: String) -> DumpError {
      DumpError(
        "the bitmap of pages is damaged: it names \(count), and there are descriptors of \(number)", at: place,
        advice: "the pages behind the wrong bit stand at wrong addresses, and nothing tells where it is")
    }

    private static func sample(
      _ pages: KdumpPages, _ count: UInt64
    ) throws(DumpError) -> [(number: UInt64, place: KdumpPageDescriptor)] {
      var found: [(number: UInt64, place: KdumpPageDescriptor)] = []
      let samples = min(samples, count)
      for sample in 0..<samples {
        // The last one too: a page more or less before it moves it.
        let number = samples == 1 ? 0 : sample * (count - 1) / (samples - 1)
        guard let place = try pages.descriptors(number, 1).first else { break }
        // What was not written yet when the file ended.
        if place.mark != nil || place.offset != 0 { found.append((number, place)) }
      }
      return found
    }

    /// Whether what lies there can be descriptors. makedumpfile may have a page of zeros there that no
    /// descriptor leads to. (In a part of a set it leaves room for the descriptors of all parts.)
    private static func areDescriptors(_ pages: KdumpPages, _ numbers: Range<UInt64>) throws(DumpError) -> Bool {
      try pages.descriptors(numbers.lowerBound, min(batch, UInt64(numbers.count))).allSatisfy {
        $0.canLead(behind: pages.layout.descriptors, pages.pageSize) && $0.offset <= pages.content.size
          && KdumpCodec(flags: $0.flags) != nil
      }
    }

    /// Where the first data lies: right behind the last descriptor, in every file known. Pages lie behind one
    /// another: what is followed by no other page is a descriptor that is damaged.
    private static func dataStart(_ pages: KdumpPages) throws(DumpError) -> UInt64? {
      let places = try pages.descriptors(0, batch).filter { $0.canLead(behind: pages.layout.descriptors, pages.pageSize) }
        .sorted { $0.offset < $1.offset }
      let offsets = Set(places.map(\.offset))
      return (places.first { offsets.contains(clampedSum($0.offset, UInt64($0.count))) } ?? places.first)?.offset
    }

    /// Takes the frames from the marks. They ascend; one that does not fit between its neighbours is damaged.
    private mutating func rebuild(_ pages: KdumpPages, _ number: UInt64) throws(DumpError) {
      var found = FrameRuns()
      var previous: UInt64?
      var skipped = false
      var index: UInt64 = 0
      let end = min(number, pages.descriptorRoom)
      while index < end {
        // One more, to look ahead.
        let places = try pages.descriptors(index, min(KdumpMarks.batch + 1, end - index))
        guard !places.isEmpty else { break }
        let count = min(places.count, Int(KdumpMarks.batch))
        for offset in 0..<count {
          let frame = places[offset].mark.flatMap { KdumpMarks.frame($0, after: previous, pages.layout.frames) }
          let next = offset + 1 < places.count ? places[offset + 1].mark.map { UInt64($0.frame) } : nil
          // Of two in the wrong order one is damaged, as its checksum tells.
          let isOrdered = frame.map { frame in next.map { frame & 0xffff_ffff < $0 } ?? true } ?? false
          // The first descriptor may be the damaged one: then what is taken for the last ones is data.
          let isSure = index + UInt64(offset) + pages.pageSize.bytes / UInt64(KdumpPageDescriptor.size) + 1 < end
          guard let frame, isOrdered && isSure || pages.isMarkRight(places[offset]) else {
            skipped = true
            continue
          }
          if skipped { addUnsure(pages, (previous.map { $0 + 1 } ?? 0)..<frame) }
          skipped = false
          found.append(frame, number: index + UInt64(offset))
          previous = frame
          guard found.runs.count <= FrameRuns.limit else {
            throw DumpError("too many pages in too many places", at: pages.content.name, advice: "the file is damaged")
          }
        }
        index += UInt64(count)
      }
      if skipped { addUnsure(pages, (previous.map { $0 + 1 } ?? 0)..<pages.layout.frames) }
      runs = found
    }

    /// The whole frame number: marks have its low 32 bits, and frames ascend.
    private static func frame(_ mark: KdumpPageMark, after previous: UInt64?, _ frames: UInt64) -> UInt64? {
      guard let previous else { return UInt64(mark.frame) < frames ? UInt64(mark.frame) : nil }
      var frame = previous & ~0xffff_ffff | UInt64(mark.frame)
      if frame <= previous { frame += 1 << 32 }
      return frame < frames ? frame : nil
    }

    /// What the bitmap has between two descriptors that are right.
    private mutating func addUnsure(_ pages: KdumpPages, _ gap: Range<UInt64>) {
      for run in pages.runs.runs where run.start < gap.upperBound && run.end > gap.lowerBound {
        unsure.append(max(run.start, gap.lowerBound), min(run.end, gap.upperBound))
      }
    }
  }
#endif
