#if ISAL
  internal import CIsal
  internal import DumpBasics

  /// ISA-L, at level 1 unless another effort is asked for: a whole dump takes half the time of libdeflate at
  /// level 1, and is 3 % larger (docs/performance.md).
  @safe final class IsalCompressor: BlockDeflating {
    static let library = "ISA-L"
    private let state: UnsafeMutableRawPointer

    init(_ effort: Effort) throws(DumpError) {
      guard let made = unsafe mcore_isal_allocate(IsalCompressor.level(effort)) else {
        throw DumpError(.system(12), "no memory for an ISA-L compressor")
      }
      unsafe state = made
    }

    func set(_ effort: Effort) { unsafe mcore_isal_set_level(state, IsalCompressor.level(effort)) }

    /// Level 0 is one pass with a fixed code; 3 is a few per cent smaller than 1 and takes nearly twice the
    /// time.
    private static func level(_ effort: Effort) -> Int32 { effort < .balanced ? 0 : effort == .smallest ? 3 : 1 }

    deinit { unsafe mcore_isal_free(state) }

    func compress(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
      let count = unsafe mcore_isal_deflate(state, input.baseAddress, input.count, output.baseAddress, output.count)
      return count > 0 ? count : nil
    }
  }
#endif
