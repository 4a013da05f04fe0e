#if Kdump
  internal import DumpBasics

  /// Frames as memory. Callers have checked that they are below the limit of physical addresses.
  extension FrameRuns {
    static func memory(_ start: UInt64, _ end: UInt64, _ pageSize: PageSize) -> PhysicalRange? {
      PhysicalRange(start << pageSize.shift, end << pageSize.shift)
    }

    /// The runs as segments, of a file that has no virtual addresses.
    func segments(_ pageSize: PageSize) -> [MemorySegment] {
      runs.compactMap { run in
        FrameRuns.memory(run.start, run.end, pageSize).map {
          MemorySegment(physical: $0, virtualAddress: 0, flags: 7, fileOffset: $0.start, fileSize: $0.count)
        }
      }
    }

    /// The runs, which are pages that were written: as data where they are `here`, as cut where they are not
    /// or are `lost`.
    func coverage(here: FrameRuns, lost: FrameRuns = FrameRuns(), _ pageSize: PageSize) -> [Coverage] {
      var pieces: [Coverage] = []
      for run in runs {
        var cursor = run.start
        while cursor < run.end {
          let end: UInt64
          let isHere: Bool
          if let found = here.run(of: cursor) {
            let gone = lost.run(of: cursor)
            isHere = gone == nil
            let next = lost.runs.partitionPoint { $0.start <= cursor }
            end = min(run.end, found.end, gone?.end ?? (next < lost.runs.count ? lost.runs[next].start : .max))
          } else {
            isHere = false
            let next = here.runs.partitionPoint { $0.start <= cursor }
            end = min(run.end, next < here.runs.count ? here.runs[next].start : .max)
          }
          if let range = FrameRuns.memory(cursor, end, pageSize) {
            pieces.append(Coverage(range: range, kind: isHere ? .data(fileOffset: range.start) : .cut))
          }
          cursor = end
        }
      }
      return pieces
    }
  }
#endif
