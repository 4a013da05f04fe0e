#if ISAL
  internal import CIsal
  internal import DumpBasics

  /// ISA-L at level 1: a whole dump takes half the time of libdeflate at level 1, and is 3 % larger
  /// (docs/performance.md).
  @safe final class IsalCompressor: BlockDeflating {
    static let library = "ISA-L"
    private let state: UnsafeMutableRawPointer

    convenience init() throws(DumpError) { try self.init(level: 1) }

    /// Level 0 or 1. Level 0 is one pass with a fixed code.
    init(level: Int32) throws(DumpError) {
      guard let made = unsafe mcore_isal_allocate(level) else {
        throw DumpError(.system(12), "no memory for an ISA-L compressor")
      }
      unsafe state = made
    }

    deinit { unsafe mcore_isal_free(state) }

    func compress(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
      let count = unsafe mcore_isal_deflate(state, input.baseAddress, input.count, output.baseAddress, output.count)
      return count > 0 ? count : nil
    }
  }
#endif
