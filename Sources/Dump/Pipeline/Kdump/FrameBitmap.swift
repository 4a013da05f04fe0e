#if Kdump
  internal import DumpBasics

  /// Page frames, as runs, and as the bitmap that a kdump-compressed file has of them.
  struct FrameBitmap: Sendable {
    private struct Run {
      var start: UInt64
      var end: UInt64
      /// Frames in the runs before.
      var before: UInt64
    }

    private var runs: [Run] = []
    private(set) var count: UInt64 = 0
    /// Behind the last frame.
    var end: UInt64 { runs.last?.end ?? 0 }
    private static let pieceSize: UInt64 = 64 << 10

    /// All frames that one of `ranges` touches; these are sorted and disjoint.
    init(_ ranges: [PhysicalRange], _ pageSize: PageSize) {
      for range in ranges {
        let start = max(range.start >> pageSize.shift, end)
        let stop = ((range.end - 1) >> pageSize.shift) + 1
        guard start < stop else { continue }
        if let last = runs.last, last.end == start {
          runs[runs.count - 1].end = stop
        } else {
          runs.append(Run(start: start, end: stop, before: count))
        }
        count += stop - start
      }
    }

    /// The frames with these numbers (their places in the order), as runs.
    func forEachRun(_ numbers: Range<UInt64>, _ body: (_ first: UInt64, _ count: UInt64) -> Void) {
      var number = numbers.lowerBound
      var index = runs.partitionPoint { $0.before + ($0.end - $0.start) <= number }
      while number < numbers.upperBound, index < runs.count {
        let run = runs[index]
        let first = run.start + (number - run.before)
        let count = min(run.end - first, numbers.upperBound - number)
        body(first, count)
        number += count
        index += 1
      }
    }

    /// The bitmap in pieces, lowest bit first, `size` bytes in all: `bytes` gets those with a frame in them,
    /// `zeros` how many bytes have none. Memory at high addresses makes bitmaps that are nearly all zeros.
    func forEachPiece(
      of size: UInt64, bytes: ([UInt8]) throws(DumpError) -> Void, zeros: (UInt64) throws(DumpError) -> Void
    ) throws(DumpError) {
      var index = 0
      var offset: UInt64 = 0
      while offset < size {
        while index < runs.count, runs[index].end <= offset * 8 { index += 1 }
        let start = index < runs.count ? max(offset, runs[index].start / 8 / FrameBitmap.pieceSize * FrameBitmap.pieceSize) : size
        if start > offset {
          let end = min(start, size)
          try zeros(end - offset)
          offset = end
          continue
        }
        let length = min(FrameBitmap.pieceSize, size - offset)
        var piece = [UInt8](repeating: 0, count: Int(length))
        let frames = offset * 8..<(offset + length) * 8
        var next = index
        while next < runs.count, runs[next].start < frames.upperBound {
          FrameBitmap.set(
            max(runs[next].start, frames.lowerBound) - frames.lowerBound,
            min(runs[next].end, frames.upperBound) - frames.lowerBound, in: &piece)
          next += 1
        }
        try bytes(piece)
        offset += length
      }
    }

    private static func set(_ start: UInt64, _ end: UInt64, in piece: inout [UInt8]) {
      var bit = start
      while bit < end {
        if bit % 8 == 0, end - bit >= 8 {
          piece[Int(bit / 8)] = 0xff
          bit += 8
        } else {
          piece[Int(bit / 8)] |= 1 << UInt8(bit % 8)
          bit += 1
        }
      }
    }
  }
#endif
