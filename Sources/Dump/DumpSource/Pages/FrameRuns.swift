#if Kdump
  internal import DumpBasics

  /// The page frames whose bit is set in a bitmap, as runs; ascending, with gaps between them.
  struct FrameRuns: Sendable, Equatable {
    struct Run: Sendable, Equatable {
      var start: UInt64
      var end: UInt64
      /// Frames in all the runs before this one: with it, the number of a frame's page descriptor.
      var before: UInt64
    }

    /// A bitmap with more runs is refused: a machine of 1 TiB with nothing but gaps has fewer, and each takes
    /// 24 bytes here.
    static let limit = 8 << 20
    private static let pieceSize = 256 << 10

    private(set) var runs: [Run] = []
    /// Frames in all runs, or one more than the number of the last one's descriptor.
    var count: UInt64 { runs.last.map { $0.before + ($0.end - $0.start) } ?? 0 }

    init() {}

    /// The bits `frames` of the bitmap at `offset`, lowest bit first. What the file does not have of it is
    /// zeros.
    init(_ content: any Content, at offset: UInt64, frames: Range<UInt64>, name: String) throws(DumpError) {
      var scan = BitScan()
      // Whole words: what is beside `frames` is cut off at the end.
      var byte = frames.lowerBound / 64 * 8
      let last = (frames.upperBound + 63) / 64 * 8
      var isInHole = false
      while byte < last {
        // A machine with memory at high addresses has bitmaps of gigabytes, with holes where nothing is; a
        // hostile file too.
        if isInHole {
          guard let next = content.nextData(from: offset + byte) else { break }
          byte = max(byte, (next - offset) / 8 * 8)
          isInHole = false
          if byte >= last { break }
        }
        let size = min(UInt64(FrameRuns.pieceSize), last - byte)
        // The last word need not be there as a whole.
        let present = min(size, content.size - min(content.size, offset + byte))
        let bytes = try content.bytes(at: offset + byte, count: Int(present)) + [UInt8](repeating: 0, count: Int(size - present))
        unsafe bytes.withUnsafeBytes { unsafe scan.add($0, from: byte * 8) { append($0, $1, within: frames) } }
        byte += UInt64(bytes.count)
        isInHole = unsafe bytes.withUnsafeBytes { unsafe isZero($0) }
        guard runs.count <= FrameRuns.limit else {
          throw DumpError(
            .unsupported, "more than \(FrameRuns.limit) runs of pages", at: "\(name), bitmap at \(hex(offset))",
            advice: "the file is damaged, or of a machine larger than mcore knows")
        }
      }
      scan.finish { append($0, $1, within: frames) }
    }

    private mutating func append(_ start: UInt64, _ end: UInt64, within frames: Range<UInt64>) {
      let start = max(start, frames.lowerBound)
      let end = min(end, frames.upperBound)
      if start < end { runs.append(Run(start: start, end: end, before: count)) }
    }

    /// Runs have to come ascending; those that touch are joined.
    mutating func append(_ start: UInt64, _ end: UInt64) {
      guard start < end else { return }
      if let last = runs.last, last.end >= start {
        runs[runs.count - 1].end = max(last.end, end)
      } else {
        runs.append(Run(start: start, end: end, before: count))
      }
    }

    /// One frame, whose descriptor is the one with this number; both ascend.
    mutating func append(_ frame: UInt64, number: UInt64) {
      if let last = runs.last, last.end == frame, last.before + (last.end - last.start) == number {
        runs[runs.count - 1].end += 1
      } else {
        runs.append(Run(start: frame, end: frame + 1, before: number))
      }
    }

    /// Both, joined.
    func union(_ other: FrameRuns) -> FrameRuns {
      var result = FrameRuns()
      var (first, second) = (0, 0)
      while first < runs.count || second < other.runs.count {
        let isFirst = second >= other.runs.count || first < runs.count && runs[first].start <= other.runs[second].start
        let run = isFirst ? runs[first] : other.runs[second]
        if isFirst { first += 1 } else { second += 1 }
        result.append(run.start, run.end)
      }
      return result
    }

    /// The run that holds `frame`.
    func run(of frame: UInt64) -> Run? {
      let index = runs.partitionPoint { $0.end <= frame }
      return index < runs.count && runs[index].start <= frame ? runs[index] : nil
    }

    /// The frame whose descriptor is the one with this number.
    func frame(_ number: UInt64) -> UInt64? {
      let index = runs.partitionPoint { $0.before + ($0.end - $0.start) <= number }
      return index < runs.count ? runs[index].start + (number - runs[index].before) : nil
    }

    /// What of these is not in `other`.
    func subtracting(_ other: FrameRuns, _ body: (UInt64, UInt64) -> Void) {
      var index = 0
      for run in runs {
        var cursor = run.start
        while index < other.runs.count, other.runs[index].end <= cursor { index += 1 }
        var next = index
        while next < other.runs.count, other.runs[next].start < run.end {
          if cursor < other.runs[next].start { body(cursor, other.runs[next].start) }
          cursor = max(cursor, other.runs[next].end)
          next += 1
        }
        if cursor < run.end { body(cursor, run.end) }
      }
    }
  }

  /// Finds runs of set bits in a stream of words.
  private struct BitScan {
    private var open: UInt64?
    private var end: UInt64 = 0

    /// `bytes` are whole words of 64 bits, lowest bit first; the first bit has the number `first`.
    mutating func add(_ bytes: UnsafeRawBufferPointer, from first: UInt64, _ emit: (UInt64, UInt64) -> Void) {
      var offset = 0
      while offset + 8 <= bytes.count {
        let word = unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        add(word, from: first + UInt64(offset) * 8, emit)
        offset += 8
      }
      end = first + UInt64(offset) * 8
    }

    private mutating func add(_ word: UInt64, from first: UInt64, _ emit: (UInt64, UInt64) -> Void) {
      if word == (open == nil ? 0 : .max) { return }
      var position: UInt64 = 0
      while position < 64 {
        let rest = (open == nil ? word : ~word) >> position
        if rest == 0 { return }
        position += UInt64(rest.trailingZeroBitCount)
        if let start = open {
          emit(start, first + position)
          open = nil
        } else {
          open = first + position
        }
      }
    }

    mutating func finish(_ emit: (UInt64, UInt64) -> Void) {
      if let start = open { emit(start, end) }
      open = nil
    }
  }
#endif
