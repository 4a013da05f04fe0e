#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// The files of a set that makedumpfile --split wrote, as one dump. Each has headers and bitmaps of the
  /// whole machine, and the pages of its own range of frames.
  final class SplitSource: DumpSource {
    let name: String
    let segments: [MemorySegment]
    let notes: [DumpNote]
    let largeNotes: [LargeNote]
    let shortfall: Shortfall?
    let findings: [DumpError]
    let format: String
    let isCompressed = true
    /// By their frames, without those that have none.
    private let parts: [KdumpSource]
    private let first: KdumpSource
    /// The one whose notes are taken.
    private let noted: KdumpSource
    private let pieces: [Coverage]

    var identity: MachineIdentity { first.identity }
    var leftOut: AbsentRanges { first.leftOut }
    var dumpLevel: Int? { first.dumpLevel }

    /// More files than anybody splits a dump into.
    private static let partLimit = 4096

    /// `given` is at least one file.
    ///
    /// - Throws: where one is no part, a part of another dump, or there twice.
    init(_ given: [KdumpSource], _ first: KdumpSource) throws(DumpError) {
      guard given.count <= SplitSource.partLimit else {
        throw DumpError(.usage, "\(given.count) files: at most \(SplitSource.partLimit) can be joined")
      }
      for part in given { try SplitSource.check(part, first) }
      let parts = given.filter { !$0.frames.isEmpty }.sorted { $0.frames.lowerBound < $1.frames.lowerBound }
      for (one, next) in zip(parts, parts.dropFirst()) where next.frames.lowerBound < one.frames.upperBound {
        throw DumpError(
          .usage,
          "the pages from pfn \(hex(next.frames.lowerBound)) to \(hex(min(one.frames.upperBound, next.frames.upperBound))) are in two of the files",
          at: "\(one.name), \(next.name)", advice: "give each part once")
      }
      self.parts = parts
      self.first = first
      name = given.count <= 3 ? given.map(\.name).joined(separator: " + ") : "\(first.name) + \(given.count - 1) more"
      segments = first.segments
      noted = given.first { !$0.notes.isEmpty } ?? first
      notes = noted.notes
      largeNotes = noted.largeNotes
      format = given.first { $0.format != "kdump-plain" }?.format ?? first.format

      var here = FrameRuns()
      var lost = FrameRuns()
      for part in parts {
        for run in part.pages.runs.runs { here.append(run.start, run.end) }
        for run in part.lost.runs { lost.append(run.start, run.end) }
      }
      let pageSize = first.pages.layout.pageSize
      pieces = first.written.coverage(here: here, lost: lost, pageSize)
      let missing = SplitSource.missing(parts, first)
      findings = given.flatMap(\.ownFindings) + missing
      let present = given.reduce(UInt64(0)) { clampedSum($0, $1.pages.content.size) }
      let expected = given.reduce(UInt64(0)) { clampedSum($0, $1.shortfall?.expected ?? $1.pages.content.size) }
      shortfall =
        missing.isEmpty && given.allSatisfy { $0.shortfall == nil }
        ? nil : Shortfall(expected: max(expected, clampedSum(present, 1)), present: present)
    }

    func coverage() -> [Coverage] { pieces }

    func read(at address: PhysicalAddress, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
      guard !address.rawValue.addingReportingOverflow(UInt64(buffer.count)).overflow else {
        throw DumpError("physical address \(address) is not in the dump", at: name)
      }
      let pageSize = first.pages.layout.pageSize
      var done = 0
      while done < buffer.count {
        let here = address.rawValue + UInt64(done)
        let frame = here >> pageSize.shift
        let index = parts.partitionPoint { $0.frames.upperBound <= frame }
        guard index < parts.count, parts[index].frames.contains(frame) else {
          throw first.written.run(of: frame) == nil
            ? DumpError("physical address \(hex(here)) is not in the dump", at: name)
            : DumpError("pfn \(hex(frame)) is in a part that is missing", at: name)
        }
        // Frames have fewer bits than addresses.
        let end = parts[index].frames.upperBound << pageSize.shift
        let count = min(buffer.count - done, Int(clamping: end - here))
        unsafe try parts[index].read(
          at: PhysicalAddress(here), into: UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count]))
        done += count
      }
    }

    func readLargeNote(
      _ note: LargeNote, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DumpError) {
      unsafe try noted.readLargeNote(note, at: offset, into: buffer)
    }

    /// Whether `part` is one, of the dump that `first` is a part of.
    private static func check(_ part: KdumpSource, _ first: KdumpSource) throws(DumpError) {
      guard part.pages.layout.subHeader.part != nil else {
        throw DumpError(
          .usage, "this file is no part of a set", at: part.name,
          advice: "only the files that makedumpfile --split wrote can be joined")
      }
      let (one, other) = (part.pages.layout, first.pages.layout)
      let difference: String? =
        if one.header.identity != other.header.identity || one.header.names != other.header.names {
          "its kernel is \(one.header.names[2]) on \(one.header.names[1]), not \(other.header.names[2]) on \(other.header.names[1])"
        } else if one.header.crashTime != other.header.crashTime {
          "it is of another crash"
        } else if one.pageSize != other.pageSize
          // A part without pages has nothing to check its claim by, so that both are asked.
          || one.frames != other.frames && one.statedFrames != other.statedFrames
        {
          "its machine has other memory"
        } else if part.existing != first.existing || part.written != first.written {
          "its bitmaps are others"
        } else {
          nil
        }
      if let difference {
        throw DumpError(.usage, "this file is not of the set of \(first.name): \(difference)", at: part.name)
      }
    }

    /// Ranges of frames that have pages and that no file is for.
    private static func missing(_ parts: [KdumpSource], _ first: KdumpSource) -> [DumpError] {
      var missing: [DumpError] = []
      var cursor: UInt64 = 0
      let layout = first.pages.layout
      let last = max(min(layout.statedFrames, layout.frames), first.written.runs.last?.end ?? 0)
      for end in parts.map(\.frames) + [last..<last] {
        if cursor < end.lowerBound {
          let pages = first.written.count(in: cursor..<end.lowerBound)
          if pages > 0 {
            missing.append(
              DumpError(
                "the part with the pages from pfn \(hex(cursor)) to \(hex(end.lowerBound)) is missing: \(pages) pages",
                at: first.name, advice: "they are named as missing, not taken for zeros"))
          }
        }
        cursor = max(cursor, end.upperBound)
      }
      return missing
    }
  }

  extension KdumpSource {
    /// Whose pages are in this file.
    fileprivate var frames: Range<UInt64> { pages.layout.part }
  }

  extension FrameRuns {
    /// How many of `frames` are in the runs.
    func count(in frames: Range<UInt64>) -> UInt64 {
      runs.reduce(0) { sum, run in
        let (from, to) = (max(run.start, frames.lowerBound), min(run.end, frames.upperBound))
        return from < to ? sum + (to - from) : sum
      }
    }
  }
#endif
