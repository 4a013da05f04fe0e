#if Zstd
  public import DumpBasics
  internal import CZstd

  /// Makes zstd frames, each on its own, with size and checksum of the content. One object belongs to one
  /// thread at a time.
  @safe public final class ZstdCompressor {
    /// Level and shortest match (0: the level's own), by effort: docs/measurements/zstd-settings.md,
    /// speed.md.
    static let settings: [(level: Int32, minMatch: Int32)] = [(-5, 0), (-2, 0), (1, 6), (2, 0), (3, 0), (6, 0)]
    private let context: OpaquePointer

    public init(_ effort: Effort = .balanced) throws(DumpError) {
      guard let made = unsafe ZSTD_createCCtx() else { throw DumpError(.system(12), "no memory for a zstd compressor") }
      unsafe context = made
      let isSet =
        unsafe ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)) == 0
        && ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1)) == 0 && set(effort)
      guard isSet else { throw DumpError(.unsupported, "zstd refuses its parameters") }
    }

    /// For the frames that come. Returns whether zstd takes it.
    @discardableResult public func set(_ effort: Effort) -> Bool {
      let (level, minMatch) = ZstdCompressor.settings[effort.step]
      return unsafe ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)) == 0
        && ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_minMatch, minMatch)) == 0
    }

    deinit { unsafe _ = ZSTD_freeCCtx(context) }

    /// Room that a frame of `count` bytes needs at most.
    public static func bound(_ count: Int) -> Int { ZSTD_compressBound(count) }

    /// Writes one frame; `output` has `bound` bytes. Returns its size. Nil without memory, which is taken
    /// with the first frame: when one of the largest size has been made, none fails any more.
    public func frame(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
      let count = unsafe ZSTD_compress2(context, output.baseAddress, output.count, input.baseAddress, input.count)
      return ZSTD_isError(count) == 0 ? count : nil
    }
  }

  /// Takes zstd frames apart. One object belongs to one thread at a time.
  @safe public final class ZstdInflater {
    private let context: OpaquePointer

    public init() throws(DumpError) {
      guard let made = unsafe ZSTD_createDCtx() else { throw DumpError(.system(12), "no memory for a zstd decompressor") }
      unsafe context = made
    }

    deinit { unsafe _ = ZSTD_freeDCtx(context) }

    /// Inflates one whole frame into exactly `output.count` bytes, its checksum tested. `place` is for
    /// errors.
    public func inflate(
      _ frame: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, at place: @autoclosure () -> String
    ) throws(DumpError) {
      let count = unsafe ZSTD_decompressDCtx(context, output.baseAddress, output.count, frame.baseAddress, frame.count)
      if ZSTD_isError(count) == 0, count == output.count { return }
      let why =
        unsafe ZSTD_isError(count) != 0
        ? String(cString: ZSTD_getErrorName(count)) : "it holds \(count) bytes, not \(output.count)"
      throw DumpError("damaged frame: \(why)", at: place(), advice: "what other frames hold can still be read")
    }
  }
#endif
