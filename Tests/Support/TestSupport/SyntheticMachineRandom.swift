/// The random numbers of the synthetic machine: SplitMix64, the same in every run.
struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    return SeededRandom.mix(state)
  }

  /// One of `0 ..< bound`; `bound` is at least 1.
  mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() % UInt64(bound)) }

  /// True `numerator` times of `denominator`.
  mutating func chance(_ numerator: Int, of denominator: Int) -> Bool { below(denominator) < numerator }

  /// The number of successes in a row, each with probability `p` of 256, at most `limit`.
  mutating func geometric(_ p: Int, limit: Int) -> Int {
    var count = 0
    while count < limit, chance(p, of: 256) { count += 1 }
    return count
  }

  /// The finaliser of SplitMix64: a good hash of 64 bits.
  static func mix(_ value: UInt64) -> UInt64 {
    var word = value
    word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    return word ^ (word >> 31)
  }
}

/// A permutation of `0 ..< count` that is computed, both ways, without a table: four rounds of a Feistel
/// network over the next power of four, walked until the result is in range (about four steps at worst on
/// average).
struct Permutation: Sendable {
  let count: UInt64
  private let halfBits: UInt64
  private let keys: [UInt64]

  init(count: UInt64, seed: UInt64) {
    self.count = count
    var bits: UInt64 = 1
    while bits < 31, UInt64(1) << (2 * bits) < count { bits += 1 }
    halfBits = bits
    var random = SeededRandom(seed)
    keys = (0..<4).map { _ in random.next() }
  }

  func callAsFunction(_ index: UInt64) -> UInt64 {
    var value = index
    repeat { value = encrypt(value) } while value >= count
    return value
  }

  func inverse(_ image: UInt64) -> UInt64 {
    var value = image
    repeat { value = decrypt(value) } while value >= count
    return value
  }

  private var mask: UInt64 { (1 << halfBits) - 1 }

  private func encrypt(_ value: UInt64) -> UInt64 {
    var (left, right) = (value >> halfBits, value & mask)
    for round in 0..<4 { (left, right) = (right, left ^ SeededRandom.mix(right ^ keys[round]) & mask) }
    return left << halfBits | right
  }

  private func decrypt(_ value: UInt64) -> UInt64 {
    var (left, right) = (value >> halfBits, value & mask)
    for round in (0..<4).reversed() { (left, right) = (right ^ SeededRandom.mix(left ^ keys[round]) & mask, left) }
    return left << halfBits | right
  }
}
