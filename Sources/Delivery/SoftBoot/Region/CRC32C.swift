internal import CChecksum
internal import DumpBasics

/// CRC-32C (RFC 3720, B.4), which guards everything in the region.
enum CRC32C {
  static func of(_ bytes: UnsafeRawBufferPointer, from seed: UInt32 = 0) -> UInt32 {
    unsafe mcore_crc32c(seed, bytes.baseAddress, bytes.count)
  }

  static func of(_ bytes: [UInt8], from seed: UInt32 = 0) -> UInt32 {
    unsafe bytes.withUnsafeBytes { unsafe of($0, from: seed) }
  }

  /// Of a structure that has its own CRC-32C at `offset`: with those four bytes taken as zeros.
  static func ofStructure(_ bytes: [UInt8], checksumAt offset: Int) -> UInt32 {
    of(Array(bytes[..<offset]) + [0, 0, 0, 0] + Array(bytes[(offset + 4)...]))
  }
}

extension ByteWriter {
  /// All bytes, with their CRC-32C in the four bytes at `offset`, which are zeros so far.
  func sealed(checksumAt offset: Int) -> [UInt8] {
    var sealed = bytes
    let checksum = CRC32C.of(bytes)
    for index in 0..<4 { sealed[offset + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
    return sealed
  }
}
