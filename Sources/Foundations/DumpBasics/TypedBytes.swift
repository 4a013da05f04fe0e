// Array's own closures with raw bytes rethrow without a type; these keep `throws(DumpError)`.

extension [UInt8] {
  /// `count` bytes that `fill` writes, all of them unless it throws.
  public static func filled(
    _ count: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(DumpError) -> Void
  ) throws(DumpError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var failure: DumpError?
    unsafe bytes.withUnsafeMutableBytes { buffer in
      do throws(DumpError) { unsafe try fill(buffer) } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Lends the bytes to `body`.
  public func lent(_ body: (UnsafeRawBufferPointer) throws(DumpError) -> Void) throws(DumpError) {
    unsafe try self[...].lent(body)
  }
}

extension ArraySlice<UInt8> {
  /// Lends the bytes to `body`.
  public func lent(_ body: (UnsafeRawBufferPointer) throws(DumpError) -> Void) throws(DumpError) {
    var failure: DumpError?
    unsafe withUnsafeBytes { buffer in
      do throws(DumpError) { unsafe try body(buffer) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
