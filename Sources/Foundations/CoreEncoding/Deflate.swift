// Raw deflate (RFC 1951) of one block at a time, and the checksum that goes with it. Which library does it is
// decided here, by trait; there is a file for each. All make standard deflate: the bytes differ between
// libraries, never between runs or thread counts. docs/performance.md has the measurements behind the order.
internal import DumpBasics
internal import CZlib
#if ISAL
  internal import CIsal
#elseif Libdeflate
  internal import CDeflate
#endif

/// Compresses blocks. One object belongs to one thread at a time.
protocol BlockDeflating: AnyObject {
  /// The library that does it, for reports.
  static var library: String { get }
  init(_ effort: Effort) throws(DumpError)
  /// For the blocks that come, where the library can change it.
  func set(_ effort: Effort)
  /// Returns the size of the compressed block, or nil when it does not fit into `output`.
  func compress(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int?
}

extension Effort {
  /// Of zlib and libdeflate, which have the same scale and nothing faster than 1.
  var deflateLevel: Int32 { [1, 1, 1, 2, 4, 6][step] }
}

extension BlockDeflating {
  func set(_ effort: Effort) {}
}

/// Inflates blocks. One object belongs to one thread at a time.
protocol BlockInflating: AnyObject {
  init() throws(DumpError)
  /// True when `input` is one whole deflate stream that gives exactly `output.count` bytes.
  func inflate(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Bool
}

#if ISAL
  typealias BlockCompressor = IsalCompressor
#elseif Libdeflate
  typealias BlockCompressor = LibdeflateCompressor
#else
  typealias BlockCompressor = ZlibCompressor
#endif

#if Libdeflate
  typealias BlockInflater = LibdeflateInflater
#else
  typealias BlockInflater = ZlibInflater
#endif

/// CRC-32 as gzip has it (RFC 1952, 8).
public enum CRC32 {
  public static func of(_ bytes: UnsafeRawBufferPointer, from seed: UInt32 = 0) -> UInt32 {
    #if ISAL
      return unsafe crc32_gzip_refl(seed, bytes.baseAddress, UInt64(bytes.count))
    #elseif Libdeflate
      return unsafe libdeflate_crc32(seed, bytes.baseAddress, bytes.count)
    #else
      let pointer = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      return unsafe UInt32(crc32_z(UInt(seed), pointer, bytes.count))
    #endif
  }

  public static func of(_ bytes: [UInt8]) -> UInt32 { of(bytes[...]) }
  public static func of(_ bytes: ArraySlice<UInt8>) -> UInt32 { unsafe bytes.withUnsafeBytes { unsafe of($0) } }

  /// The CRC of two pieces of which the second has `count` bytes.
  public static func combined(_ first: UInt32, _ second: UInt32, count: Int) -> UInt32 {
    UInt32(crc32_combine(UInt(first), UInt(second), count))
  }
}

/// The library that compresses BGZF blocks in this build, for reports.
public var deflateLibrary: String { BlockCompressor.library }
