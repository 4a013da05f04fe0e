/// Whether all bytes are zero. Looks at 64 bytes a step and stops at the first step that is not.
@inlinable public func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
  var offset = 0
  let whole = bytes.count & ~63
  while offset < whole {
    let lanes = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
    if lanes != .zero { return false }
    offset += 64
  }
  while offset < bytes.count {
    if unsafe bytes[offset] != 0 { return false }
    offset += 1
  }
  return true
}
