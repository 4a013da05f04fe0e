/// Numbers in bytes of 7 bits, lowest first, the last one with bit 7 clear: for lists of which millions are
/// kept.
public enum SevenBitNumbers {
  @inlinable public static func append(_ value: UInt64, to bytes: inout [UInt8]) {
    var rest = value
    while rest > 127 {
      bytes.append(UInt8(truncatingIfNeeded: rest & 127) | 128)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  /// The number at `offset`, which moves on. Nil where the bytes end within it, or it is larger than 64 bits.
  @inlinable public static func read(_ bytes: [UInt8], _ offset: inout Int) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while offset < bytes.count, shift < 64 {
      let byte = bytes[offset]
      offset += 1
      let part = UInt64(byte & 127)
      guard (part << shift) >> shift == part else { return nil }
      value |= part << shift
      if byte < 128 { return value }
      shift += 7
    }
    return nil
  }
}
