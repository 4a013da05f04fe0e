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

/// A few names that are looked for among hundreds of thousands: nearly all others are told by one bit of
/// their hash.
struct SoughtNames {
  private(set) var names: [UInt64: String] = [:]
  private var bits = [UInt64](repeating: 0, count: 64)

  mutating func insert(_ name: String) {
    let hash = NameHash(name).value
    names[hash] = name
    bits[Int(hash >> 6 & 63)] |= 1 << (hash & 63)
  }

  @inline(__always) func mayContain(_ hash: UInt64) -> Bool { bits[Int(hash >> 6 & 63)] >> (hash & 63) & 1 == 1 }
}
