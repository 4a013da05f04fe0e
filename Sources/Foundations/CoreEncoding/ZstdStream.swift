#if Streams && Zstd
  public import DumpBasics
  internal import CZstd

  /// Inflates zstd of any kind from its start to its end. One object belongs to one thread at a time.
  @safe public final class ZstdStream {
    private let context: OpaquePointer

    public init() throws(DumpError) {
      guard let made = unsafe ZSTD_createDCtx() else { throw DumpError(.system(12), "no memory for a zstd decompressor") }
      unsafe context = made
    }

    deinit { unsafe _ = ZSTD_freeDCtx(context) }

    public struct Step: Sendable, Equatable {
      public var consumed: Int
      public var produced: Int
      /// Whether a frame has ended, its checksum with it.
      public var endsFrame: Bool

      public init(consumed: Int = 0, produced: Int = 0, endsFrame: Bool = false) {
        self.consumed = consumed
        self.produced = produced
        self.endsFrame = endsFrame
      }
    }

    /// Goes on with `input`, into `output`. Frames may follow one another.
    public func step(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) throws(DumpError) -> Step {
      var from = unsafe ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
      var to = unsafe ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
      let code = unsafe ZSTD_decompressStream(context, &to, &from)
      if ZSTD_isError(code) != 0 {
        throw DumpError("damaged zstd: \(unsafe String(cString: ZSTD_getErrorName(code)))")
      }
      return unsafe Step(consumed: from.pos, produced: to.pos, endsFrame: code == 0)
    }
  }
#endif
