#if Streams
  public import DumpBasics
  internal import CZlib

  /// Inflates gzip of any kind, step by step, from its start or from a place in it. One object belongs to one
  /// thread at a time.
  @safe public final class GzipStream {
    /// A place in a file from which inflating can begin, though nothing before it was read.
    public struct Place: Sendable, Equatable {
      /// Of the compressed file. Of the byte before it the upper `bits` are still to be read.
      public var compressed: UInt64
      public var bits: Int32
      /// Of the content.
      public var content: UInt64
      /// Content right before it, up to 32 KiB. Nil where a member begins.
      public var window: [UInt8]?

      public init(compressed: UInt64, bits: Int32, content: UInt64, window: [UInt8]?) {
        self.compressed = compressed
        self.bits = bits
        self.content = content
        self.window = window
      }
    }

    public enum Event: Sendable, Equatable {
      /// More input or more room is needed.
      case more
      /// A block has ended and another follows: `place` says where.
      case block(bits: Int32)
      /// A member has ended, its checksum with it.
      case member
    }

    public struct Step: Sendable, Equatable {
      public var consumed: Int
      public var produced: Int
      public var event: Event

      public init(consumed: Int = 0, produced: Int = 0, event: Event = .more) {
        self.consumed = consumed
        self.produced = produced
        self.event = event
      }
    }

    private let state: UnsafeMutablePointer<z_stream>
    private static let windowSize = 32 << 10
    /// Bytes of a member's checksum and size, which raw inflating does not read.
    private static let trailerSize = 8
    /// In the middle of a member, where its header was not seen.
    private var isRaw: Bool
    /// Bytes of a trailer that are still to be skipped.
    private var skipping = 0

    /// From the start of a member.
    public init() throws(DumpError) {
      unsafe state = .allocate(capacity: 1)
      unsafe state.initialize(to: z_stream())
      isRaw = false
      let code = unsafe mcore_inflate_init_gzip(state)
      guard code == Z_OK else {
        unsafe state.deallocate()
        throw DumpError(.system(12), "zlib does not start: error \(code)")
      }
    }

    /// From `place` on; `before` is the byte before it.
    public convenience init(at place: Place, before: UInt8) throws(DumpError) {
      try self.init()
      guard let window = place.window else { return }
      isRaw = true
      let isReady =
        unsafe inflateReset2(state, -15) == Z_OK
        && (place.bits == 0 || inflatePrime(state, place.bits, Int32(before) >> (8 - place.bits)) == Z_OK)
        && window.withUnsafeBufferPointer {
          unsafe inflateSetDictionary(state, $0.baseAddress, UInt32($0.count)) == Z_OK
        }
      guard isReady else { throw DumpError("inflating can't begin at \(hex(place.compressed))") }
    }

    deinit {
      unsafe inflateEnd(state)
      unsafe state.deallocate()
    }

    /// Content right before this place: what a `Place` needs.
    public var window: [UInt8] {
      var window = [UInt8](repeating: 0, count: GzipStream.windowSize)
      var count: UInt32 = 0
      let code = unsafe window.withUnsafeMutableBufferPointer {
        unsafe inflateGetDictionary(state, $0.baseAddress, &count)
      }
      return code == Z_OK ? Array(window[..<Int(count)]) : []
    }

    /// Goes on with `input`, into `output`. With `stopsAtBlocks` it stops at the end of each block.
    ///
    /// - Throws: where what is in `input` is no gzip.
    public func step(
      _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, stopsAtBlocks: Bool = false
    ) throws(DumpError) -> Step {
      if skipping > 0 {
        let count = min(skipping, input.count)
        skipping -= count
        if skipping == 0 { unsafe _ = inflateReset2(state, 31) }
        return Step(consumed: count, produced: 0, event: skipping == 0 ? .member : .more)
      }
      let (taken, room) = (UInt32(clamping: input.count), UInt32(clamping: output.count))
      unsafe state.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
      unsafe state.pointee.avail_in = taken
      unsafe state.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
      unsafe state.pointee.avail_out = room
      let code = unsafe inflate(state, stopsAtBlocks ? Z_BLOCK : Z_NO_FLUSH)
      var step = unsafe Step(
        consumed: Int(taken - state.pointee.avail_in), produced: Int(room - state.pointee.avail_out), event: .more)
      switch code {
      case Z_STREAM_END:
        if isRaw {
          isRaw = false
          skipping = GzipStream.trailerSize
        } else {
          unsafe _ = inflateReset(state)
          step.event = .member
        }
      // Z_BUF_ERROR: nothing to do without more of the one or the other.
      case Z_OK, Z_BUF_ERROR:
        let type = unsafe state.pointee.data_type
        // Behind a block that is not the last one; the place behind a header has no block before it.
        if stopsAtBlocks, type & 128 != 0, type & 64 == 0, unsafe state.pointee.total_out > 0 {
          step.event = .block(bits: type & 7)
        }
      default:
        let why = unsafe state.pointee.msg.map { unsafe String(cString: $0) } ?? "error \(code)"
        throw DumpError("damaged gzip: \(why)")
      }
      return step
    }
  }
#endif
