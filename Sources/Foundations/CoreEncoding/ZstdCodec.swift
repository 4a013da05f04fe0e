#if Zstd
  public import DumpBasics
  internal import CZstd

  /// Makes zstd frames, each on its own, with size and checksum of the content. One object belongs to one
  /// thread at a time.
  @safe public final class ZstdCompressor {
    /// docs/performance.md has the measurements.
    public static let level: Int32 = 1
    /// Shortest match, in bytes; level 1 alone would take 7.
    public static let minMatch: Int32 = 6
    private let context: OpaquePointer

    public init() throws(DumpError) {
      guard let made = unsafe ZSTD_createCCtx() else { throw DumpError(.system(12), "no memory for a zstd compressor") }
      unsafe context = made
      for (parameter, value) in [
        (ZSTD_c_compressionLevel, ZstdCompressor.level), (ZSTD_c_minMatch, ZstdCompressor.minMatch), (ZSTD_c_checksumFlag, 1),
        (ZSTD_c_contentSizeFlag, 1),
      ] {
        let code = unsafe ZSTD_CCtx_setParameter(context, parameter, value)
        if ZSTD_isError(code) != 0 { throw DumpError(.unsupported, "zstd refuses parameter \(parameter.rawValue)") }
      }
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
