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

/// Whether both have the same bytes. 64 bytes a step, as above: `elementsEqual` would look at one.
@inlinable public func isEqual(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
  guard one.count == other.count else { return false }
  var offset = 0
  let whole = one.count & ~63
  while offset < whole {
    let mine = unsafe one.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
    let its = unsafe other.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
    if mine != its { return false }
    offset += 64
  }
  while offset < one.count {
    if unsafe one[offset] != other[offset] { return false }
    offset += 1
  }
  return true
}
