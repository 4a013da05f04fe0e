/// FNV-1a of 64 bits: which of a few names a text is, without making a string of it; and signatures.
struct NameHash {
  private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

  init() {}
  init(_ text: String) { for byte in text.utf8 { add(byte) } }

  @inline(__always) mutating func add(_ byte: UInt8) {
    value ^= UInt64(byte)
    value = value &* 0x100_0000_01b3  // modulo 2^64: that is the hash
  }
}
