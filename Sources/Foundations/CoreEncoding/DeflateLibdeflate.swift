#if Libdeflate
  internal import CDeflate
  internal import DumpBasics

  /// libdeflate, at level 1 unless more is asked for. On kernel pages more effort costs much more time than
  /// it saves bytes.
  @safe final class LibdeflateCompressor: BlockDeflating {
    static let library = "libdeflate"
    private let state: OpaquePointer

    init(_ effort: Effort) throws(DumpError) {
      guard let made = unsafe libdeflate_alloc_compressor(effort.deflateLevel) else {
        throw DumpError(.system(12), "no memory for a libdeflate compressor")
      }
      unsafe state = made
    }

    deinit { unsafe libdeflate_free_compressor(state) }

    func compress(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
      let count = unsafe libdeflate_deflate_compress(
        state, input.baseAddress, input.count, output.baseAddress, output.count)
      return count > 0 ? count : nil
    }
  }

  @safe final class LibdeflateInflater: BlockInflating {
    private let state: OpaquePointer

    init() throws(DumpError) {
      guard let made = unsafe libdeflate_alloc_decompressor() else {
        throw DumpError(.system(12), "no memory for a libdeflate decompressor")
      }
      unsafe state = made
    }

    deinit { unsafe libdeflate_free_decompressor(state) }

    func inflate(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Bool {
      unsafe libdeflate_deflate_decompress(
        state, input.baseAddress, input.count, output.baseAddress, output.count, nil) == LIBDEFLATE_SUCCESS
    }
  }
#endif
