internal import CZlib
internal import DumpBasics

/// zlib, at level 1 unless more is asked for: what is always there.
@safe final class ZlibCompressor: BlockDeflating {
  static let library = "zlib"
  private let state: UnsafeMutablePointer<z_stream>

  init(_ effort: Effort) throws(DumpError) {
    unsafe state = .allocate(capacity: 1)
    unsafe state.initialize(to: z_stream())
    let code = unsafe mcore_deflate_init_raw(state, effort.deflateLevel)
    guard code == Z_OK else {
      unsafe state.deallocate()
      throw DumpError(.system(12), "zlib does not start: error \(code)")
    }
  }

  deinit {
    unsafe deflateEnd(state)
    unsafe state.deallocate()
  }

  func compress(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
    unsafe deflateReset(state)
    unsafe state.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
    unsafe state.pointee.avail_in = UInt32(input.count)
    unsafe state.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    unsafe state.pointee.avail_out = UInt32(output.count)
    guard unsafe deflate(state, Z_FINISH) == Z_STREAM_END else { return nil }
    return unsafe output.count - Int(state.pointee.avail_out)
  }
}

@safe final class ZlibInflater: BlockInflating {
  private let state: UnsafeMutablePointer<z_stream>

  init() throws(DumpError) {
    unsafe state = .allocate(capacity: 1)
    unsafe state.initialize(to: z_stream())
    let code = unsafe mcore_inflate_init_raw(state)
    guard code == Z_OK else {
      unsafe state.deallocate()
      throw DumpError(.system(12), "zlib does not start: error \(code)")
    }
  }

  deinit {
    unsafe inflateEnd(state)
    unsafe state.deallocate()
  }

  func inflate(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Bool {
    unsafe inflateReset(state)
    unsafe state.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
    unsafe state.pointee.avail_in = UInt32(input.count)
    unsafe state.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    unsafe state.pointee.avail_out = UInt32(output.count)
    return unsafe CZlib.inflate(state, Z_FINISH) == Z_STREAM_END && state.pointee.avail_out == 0
  }
}
