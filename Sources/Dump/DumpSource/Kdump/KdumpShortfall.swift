#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// What of a kdump-compressed file is not there: it was cut, or its writer did not come to its end.
  struct KdumpShortfall {
    private(set) var shortfall: Shortfall?
    private(set) var findings: [DumpError] = []
    /// Frames whose descriptor, or whose data, is not there.
    private(set) var lost = FrameRuns()

    /// So many descriptors at the end are looked at: pages stand in ascending order, so that a cut shows
    /// there. Only zero pages share a place at the front.
    private static let tail: UInt64 = 4096

    init(_ pages: KdumpPages) throws(DumpError) {
      let name = pages.content.name
      let size = pages.content.size
      let present = pages.presentDescriptors
      let isIncomplete = pages.layout.header.status & KdumpHeader.incomplete != 0
      var expected = try KdumpShortfall.furthest(pages, from: present - min(present, KdumpShortfall.tail), to: present)
      if present < pages.runs.count {
        let table = (pages.runs.count - present).multipliedReportingOverflow(by: UInt64(KdumpPageDescriptor.size)).partialValue
        expected = max(expected, clampedSum(size, table))
      }
      // What a cut flattened file does not hold reads as zeros, descriptors too.
      let isCutOutside = pages.content.damage != nil && !pages.content.isCorrupt
      guard isIncomplete || expected > size || isCutOutside else { return }
      lost = try KdumpShortfall.lost(pages, present, offsetZeroIsLost: isIncomplete || isCutOutside)
      let missing = lost.count
      if missing == 0, !isIncomplete, expected <= size { return }
      shortfall = Shortfall(expected: max(expected, size == .max ? size : size + 1), present: size)
      findings.append(
        isIncomplete
          ? DumpError(
            "the file is marked as incomplete: its writer did not come to its end, \(missing) pages are missing", at: name,
            advice: "what is missing is named and left out")
          : DumpError(
            expected > size
              ? "the file is cut: \(humanBytes(size)) of at least \(humanBytes(expected)) are there, \(missing) pages are missing"
              : "the file is cut: \(missing) pages are missing",
            at: name, advice: "what is missing is named and left out"))
    }

    /// Where the data ends that these descriptors lead to. Wild ones are damage, and don't count.
    private static func furthest(_ pages: KdumpPages, from first: UInt64, to end: UInt64) throws(DumpError) -> UInt64 {
      let places = try pages.descriptors(first, end - first)
      // A page's place is hardly further away than all pages uncompressed are long.
      let most = clampedSum(
        pages.content.size, clampedSum(pages.runs.count, 1).multipliedReportingOverflow(by: 1 << 17).partialValue)
      return places.reduce(0) {
        let (stop, overflow) = $1.offset.addingReportingOverflow(UInt64($1.count))
        return overflow || stop > most ? $0 : max($0, stop)
      }
    }

    private static func lost(
      _ pages: KdumpPages, _ present: UInt64, offsetZeroIsLost: Bool
    ) throws(DumpError) -> FrameRuns {
      let size = pages.content.size
      var lost = FrameRuns()
      for run in pages.runs.runs {
        var frame = run.start
        while frame < run.end {
          let number = run.before + (frame - run.start)
          let places = number < present ? try pages.descriptors(number, min(run.end - frame, tail)) : []
          if places.isEmpty {
            // Nothing has a descriptor from here on.
            lost.append(frame, run.end)
            break
          }
          for (index, place) in places.enumerated() {
            let isGone = place.offset > size || UInt64(place.count) > size - place.offset
            if isGone || offsetZeroIsLost && place.offset == 0 { lost.append(frame + UInt64(index), frame + UInt64(index) + 1) }
          }
          frame += UInt64(places.count)
        }
        guard lost.runs.count <= FrameRuns.limit else {
          throw DumpError("too many pages are missing in too many places", at: pages.content.name, advice: "the file is damaged")
        }
      }
      return lost
    }
  }
#endif
