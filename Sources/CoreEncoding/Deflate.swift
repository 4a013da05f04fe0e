// Raw deflate (RFC 1951) of one block at a time, by libdeflate where it is built in (trait Libdeflate), else by zlib.
// Both make standard deflate; the bytes differ between the two, never between runs or thread counts.
public import DumpBasics
internal import CZlib
#if Libdeflate
  internal import CDeflate
#endif

/// CRC-32 as gzip has it (RFC 1952, 8).
public enum CRC32 {
  public static func of(_ bytes: UnsafeRawBufferPointer, from seed: UInt32 = 0) -> UInt32 {
    #if Libdeflate
      return unsafe libdeflate_crc32(seed, bytes.baseAddress, bytes.count)
    #else
      let pointer = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      return unsafe UInt32(crc32_z(UInt(seed), pointer, bytes.count))
    #endif
  }

  public static func of(_ bytes: [UInt8]) -> UInt32 { unsafe bytes.withUnsafeBytes { unsafe of($0) } }

  /// The CRC of two pieces of which the second has `count` bytes.
  public static func combined(_ first: UInt32, _ second: UInt32, count: Int) -> UInt32 {
    UInt32(crc32_combine(UInt(first), UInt(second), count))
  }
}

/// Compresses blocks. One object belongs to one thread at a time.
@safe public final class BlockCompressor {
  /// The library that does it, for reports.
  #if Libdeflate
    public static let library = "libdeflate"
    private let state: OpaquePointer
  #else
    public static let library = "zlib"
    private let state: UnsafeMutablePointer<z_stream>
  #endif

  /// Level 1: on kernel pages more effort costs much more time than it saves bytes (docs/performance.md).
  public init() throws(DumpError) {
    #if Libdeflate
      guard let made = unsafe libdeflate_alloc_compressor(1) else {
        throw DumpError(.system(12), "no memory for a libdeflate compressor")
      }
      unsafe state = made
    #else
      unsafe state = .allocate(capacity: 1)
      unsafe state.initialize(to: z_stream())
      let code = unsafe mcore_deflate_init_raw(state, 1)
      guard code == Z_OK else {
        unsafe state.deallocate()
        throw DumpError(.system(12), "zlib does not start: error \(code)")
      }
    #endif
  }

  deinit {
    #if Libdeflate
      unsafe libdeflate_free_compressor(state)
    #else
      unsafe deflateEnd(state)
      unsafe state.deallocate()
    #endif
  }

  /// Returns the size of the compressed block, or nil when it does not fit into `output`.
  public func compress(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
    #if Libdeflate
      let count = unsafe libdeflate_deflate_compress(
        state, input.baseAddress, input.count, output.baseAddress, output.count)
      return count > 0 ? count : nil
    #else
      unsafe deflateReset(state)
      unsafe state.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
      unsafe state.pointee.avail_in = UInt32(input.count)
      unsafe state.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
      unsafe state.pointee.avail_out = UInt32(output.count)
      guard unsafe deflate(state, Z_FINISH) == Z_STREAM_END else { return nil }
      return unsafe output.count - Int(state.pointee.avail_out)
    #endif
  }
}

/// Inflates blocks. One object belongs to one thread at a time.
@safe public final class BlockInflater {
  #if Libdeflate
    private let state: OpaquePointer
  #else
    private let state: UnsafeMutablePointer<z_stream>
  #endif

  public init() throws(DumpError) {
    #if Libdeflate
      guard let made = unsafe libdeflate_alloc_decompressor() else {
        throw DumpError(.system(12), "no memory for a libdeflate decompressor")
      }
      unsafe state = made
    #else
      unsafe state = .allocate(capacity: 1)
      unsafe state.initialize(to: z_stream())
      let code = unsafe mcore_inflate_init_raw(state)
      guard code == Z_OK else {
        unsafe state.deallocate()
        throw DumpError(.system(12), "zlib does not start: error \(code)")
      }
    #endif
  }

  deinit {
    #if Libdeflate
      unsafe libdeflate_free_decompressor(state)
    #else
      unsafe inflateEnd(state)
      unsafe state.deallocate()
    #endif
  }

  /// True when `input` is one whole deflate stream that gives exactly `output.count` bytes.
  public func inflate(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Bool {
    #if Libdeflate
      return unsafe libdeflate_deflate_decompress(
        state, input.baseAddress, input.count, output.baseAddress, output.count, nil) == LIBDEFLATE_SUCCESS
    #else
      unsafe inflateReset(state)
      unsafe state.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
      unsafe state.pointee.avail_in = UInt32(input.count)
      unsafe state.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
      unsafe state.pointee.avail_out = UInt32(output.count)
      return unsafe CZlib.inflate(state, Z_FINISH) == Z_STREAM_END && state.pointee.avail_out == 0
    #endif
  }
}
