#if Kdump
  public import DumpBasics
  internal import CZlib
  #if Libdeflate
    internal import CDeflate
  #endif
  #if LZO
    internal import CLzo
  #endif
  #if Snappy
    internal import CSnappy
  #endif

  /// How a page of a kdump-compressed file is stored: `flags` of its descriptor.
  public enum KdumpCodec: UInt32, Sendable, CaseIterable {
    case plain = 0
    case zlib = 1
    case lzo = 2
    case snappy = 4
    case zstd = 0x20

    /// The bits that choose a codec. Others tell something else of the page.
    private static let mask: UInt32 = 0x27

    /// Nil for bits that name more than one codec.
    public init?(flags: UInt32) { self.init(rawValue: flags & KdumpCodec.mask) }
  }

  /// Inflates pages. One object belongs to one thread at a time.
  @safe public final class KdumpPageInflater {
    private let order: ByteOrder
    #if Zstd
      private let zstd: ZstdInflater
    #endif
    #if Libdeflate
      private let deflate: OpaquePointer
    #endif

    public init(_ order: ByteOrder = .little) throws(DumpError) {
      self.order = order
      #if Zstd
        zstd = try ZstdInflater()
      #endif
      #if Libdeflate
        guard let made = unsafe libdeflate_alloc_decompressor() else {
          throw DumpError(.system(12), "no memory for a libdeflate decompressor")
        }
        unsafe deflate = made
      #endif
    }

    #if Libdeflate
      deinit { unsafe libdeflate_free_decompressor(deflate) }
    #endif

    /// Gives exactly one page, or throws. `place` is for errors.
    public func inflate(
      _ input: UnsafeRawBufferPointer, flags: UInt32, into page: UnsafeMutableRawBufferPointer,
      at place: @autoclosure () -> String
    ) throws(DumpError) {
      let isWhole =
        switch KdumpCodec(flags: flags) {
        case .plain: unsafe copy(input, into: page)
        case .zlib: unsafe zlib(input, into: page)
        case .lzo: unsafe try lzo(input, into: page, at: place())
        case .snappy: unsafe try snappy(input, into: page, at: place())
        case .zstd: unsafe try zstd(input, into: page, at: place())
        case nil: throw DumpError("page flags are \(hex(UInt64(flags)))", at: place(), advice: "the file is damaged")
        }
      guard isWhole else {
        throw DumpError(
          "damaged page: it does not inflate to \(page.count) bytes", at: place(), advice: "other pages can be read")
      }
    }

    private func copy(_ input: UnsafeRawBufferPointer, into page: UnsafeMutableRawBufferPointer) -> Bool {
      guard input.count == page.count else { return false }
      unsafe page.copyMemory(from: input)
      return true
    }

    private func zlib(_ input: UnsafeRawBufferPointer, into page: UnsafeMutableRawBufferPointer) -> Bool {
      #if Libdeflate
        return unsafe libdeflate_zlib_decompress(
          deflate, input.baseAddress, input.count, page.baseAddress, page.count, nil) == LIBDEFLATE_SUCCESS
      #else
        var count = UInt(page.count)
        let code = unsafe uncompress(
          page.baseAddress?.assumingMemoryBound(to: UInt8.self), &count, input.baseAddress?.assumingMemoryBound(to: UInt8.self),
          UInt(input.count))
        return code == Z_OK && count == UInt(page.count)
      #endif
    }

    private func lzo(
      _ input: UnsafeRawBufferPointer, into page: UnsafeMutableRawBufferPointer, at place: @autoclosure () -> String
    ) throws(DumpError) -> Bool {
      #if LZO
        var count = UInt(page.count)
        let code = unsafe lzo1x_decompress_safe(
          input.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt(input.count),
          page.baseAddress?.assumingMemoryBound(to: UInt8.self), &count, nil)
        return code == LZO_E_OK && count == UInt(page.count)
      #else
        throw KdumpPageInflater.unsupported("lzo", place())
      #endif
    }

    private func snappy(
      _ input: UnsafeRawBufferPointer, into page: UnsafeMutableRawBufferPointer, at place: @autoclosure () -> String
    ) throws(DumpError) -> Bool {
      #if Snappy
        var count = 0
        let bytes = unsafe input.baseAddress?.assumingMemoryBound(to: CChar.self)
        guard unsafe snappy_uncompressed_length(bytes, input.count, &count) == SNAPPY_OK, count == page.count else {
          return false
        }
        return unsafe snappy_uncompress(bytes, input.count, page.baseAddress?.assumingMemoryBound(to: CChar.self), &count)
          == SNAPPY_OK && count == page.count
      #else
        throw KdumpPageInflater.unsupported("snappy", place())
      #endif
    }

    private func zstd(
      _ input: UnsafeRawBufferPointer, into page: UnsafeMutableRawBufferPointer, at place: @autoclosure () -> String
    ) throws(DumpError) -> Bool {
      #if Zstd
        unsafe try zstd.inflate(input, into: page, at: place())
        return true
      #else
        throw KdumpPageInflater.unsupported("zstd", place())
      #endif
    }

    private static func unsupported(_ codec: String, _ place: String) -> DumpError {
      DumpError(.unsupported, "this build of mcore does not read \(codec)", at: place, advice: "makedumpfile -R and crash do")
    }
  }

  /// Compresses pages. One object belongs to one thread at a time.
  @safe public final class KdumpPageCompressor {
    public let codec: KdumpCodec
    #if Zstd
      private let zstd: ZstdCompressor?
    #endif
    #if Libdeflate
      private let deflate: OpaquePointer
    #endif

    /// `codec` is zlib or zstd.
    public init(_ codec: KdumpCodec) throws(DumpError) {
      self.codec = codec
      #if Zstd
        zstd = codec == .zstd ? try ZstdCompressor() : nil
      #endif
      #if Libdeflate
        guard let made = unsafe libdeflate_alloc_compressor(1) else {
          throw DumpError(.system(12), "no memory for a libdeflate compressor")
        }
        unsafe deflate = made
      #endif
    }

    #if Libdeflate
      deinit { unsafe libdeflate_free_compressor(deflate) }
    #endif

    /// Room that `output` of `compress` needs for a page of `count` bytes.
    public static func bound(_ count: Int) -> Int { count + count / 16 + 1024 }

    /// Writes a page, as it is where it does not get smaller; returns its size and its flags.
    public func compress(
      _ page: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) -> (count: Int, flags: UInt32) {
      if let count = unsafe compressed(page, into: output), count < page.count { return (count, codec.rawValue) }
      unsafe output.copyMemory(from: page)
      return (page.count, KdumpCodec.plain.rawValue)
    }

    private func compressed(_ page: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
      #if Zstd
        if let zstd { return unsafe zstd.frame(page, into: output) }
      #endif
      #if Libdeflate
        let count = unsafe libdeflate_zlib_compress(deflate, page.baseAddress, page.count, output.baseAddress, output.count)
        return count > 0 ? count : nil
      #else
        var count = UInt(output.count)
        let code = unsafe compress2(
          output.baseAddress?.assumingMemoryBound(to: UInt8.self), &count, page.baseAddress?.assumingMemoryBound(to: UInt8.self),
          UInt(page.count), 1)
        return code == Z_OK ? Int(count) : nil
      #endif
    }
  }
#endif
