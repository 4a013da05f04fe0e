internal import DumpBasics

/// The class of every page, as runs in ascending order; a sequence, since it is kept packed.
///
/// Memory: one byte for each run of up to 31 pages, two to four for longer ones, whatever the number of
/// pages; kept by section of the page map. `byteLimit` bounds it; see there for what happens beyond.
public struct ClassRuns: Sequence, Sendable {
  /// Bytes of packed runs at most: 24 MiB for each TiB of 4 KiB pages, that is one run for every 11 pages;
  /// and no less than that for less memory. Memory that is more fragmented has the shortest runs of its most
  /// fragmented sections kept as `kernel` (`Check.runMemory`). With the set of free blocks that a damaged
  /// free list can need (32 MiB for 1 TiB, and only then; it is taken off from what is beyond the first 24)
  /// and the buffers of the threads, classification stays below 24 MiB and 40 for each TiB.
  public static func byteLimit(pages: UInt64) -> Int { Swift.max(leastByteLimit, Int(clamping: pages / 32 * 3)) }
  static let leastByteLimit = 24 << 20

  struct Piece: Sendable {
    var first: UInt64
    var count: UInt64
    /// Packed runs, each `RunBytes`. Empty: all `kernel`.
    var bytes: [UInt8]
  }
  var pieces: [Piece] = []

  /// Bytes that the packed runs take.
  public var packedBytes: Int { pieces.reduce(0) { $0 + $1.bytes.count } }

  public func makeIterator() -> Iterator { Iterator(pieces) }

  public struct Iterator: IteratorProtocol {
    private let pieces: [Piece]
    private var piece = 0
    private var offset = 0
    private var frame: UInt64 = 0
    private var pending: ClassRun?

    init(_ pieces: [Piece]) {
      self.pieces = pieces
      frame = pieces.first?.first ?? 0
    }

    /// Runs of one class that touch are joined, over the borders of sections too.
    public mutating func next() -> ClassRun? {
      while let run = nextStored() {
        guard let last = pending else {
          pending = run
          continue
        }
        if last.pageClass == run.pageClass, last.range.upperBound == run.range.lowerBound {
          pending = ClassRun(last.range.lowerBound..<run.range.upperBound, run.pageClass)
        } else {
          pending = run
          return last
        }
      }
      defer { pending = nil }
      return pending
    }

    private mutating func nextStored() -> ClassRun? {
      while piece < pieces.count {
        let current = pieces[piece]
        if current.bytes.isEmpty {
          advance()
          return ClassRun(current.first..<current.first + current.count, .kernel)
        }
        guard let (number, length) = RunBytes.read(current.bytes, &offset) else {
          advance()
          continue
        }
        let range = frame..<frame + UInt64(length)
        frame = range.upperBound
        if let pageClass = PageClass(rawValue: number) { return ClassRun(range, pageClass) }
      }
      return nil
    }

    private mutating func advance() {
      piece += 1
      offset = 0
      frame = piece < pieces.count ? pieces[piece].first : 0
    }
  }
}

/// Packed runs. A run is a byte: the class in bits 0 to 2 (0: no memory there), the length less 1 in bits 3
/// to 7. If those are all ones, the length less 32 follows (`SevenBitNumbers`).
struct RunBytes: Sendable {
  private(set) var bytes: [UInt8] = []
  private var number: UInt8 = 0
  private var length = 0

  /// `number`: a class, or 0. `count` is at least 1.
  @inline(__always) mutating func append(_ number: UInt8, _ count: Int) {
    if number != self.number || length == 0 {
      flush()
      self.number = number
    }
    length += count
  }

  mutating func finish() -> [UInt8] {
    flush()
    return bytes
  }

  private mutating func flush() {
    if length == 0 { return }
    if length <= 31 {
      bytes.append(number | UInt8(length - 1) << 3)
    } else {
      bytes.append(number | 0xf8)
      SevenBitNumbers.append(UInt64(length - 32), to: &bytes)
    }
    length = 0
  }

  /// The run at `offset`, which moves on; nil at the end.
  @inline(__always) static func read(_ bytes: [UInt8], _ offset: inout Int) -> (UInt8, Int)? {
    guard offset < bytes.count else { return nil }
    let first = bytes[offset]
    offset += 1
    guard first >> 3 == 31 else { return (first & 7, Int(first >> 3) + 1) }
    guard let rest = SevenBitNumbers.read(bytes, &offset) else { return nil }
    return (first & 7, Int(clamping: rest) + 32)
  }

  /// The same runs with those shorter than `shortest` pages made `kernel`; and how many pages that were of
  /// each class.
  static func coarsened(_ bytes: [UInt8], below shortest: Int) -> ([UInt8], lost: [UInt64]) {
    var result = RunBytes()
    var lost = [UInt64](repeating: 0, count: 8)
    var offset = 0
    while let (number, length) = read(bytes, &offset) {
      if length < shortest, number != 0, number != PageClass.kernel.rawValue {
        lost[Int(number)] += UInt64(length)
        result.append(PageClass.kernel.rawValue, length)
      } else {
        result.append(number, length)
      }
    }
    return (result.finish(), lost)
  }
}
