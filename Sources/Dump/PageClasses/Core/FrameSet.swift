/// A set of page frames below a limit, in memory bounded by 1 bit a page: 4 KiB for each section of 32768
/// pages that has any, 32 MiB for 1 TiB.
struct FrameSet: Sendable {
  private let shift: UInt64
  private var sections: [UInt64: [UInt64]] = [:]

  init(sectionShift: UInt64) { shift = sectionShift }

  /// Of memory, nearly.
  var bytes: Int { sections.reduce(0) { $0 + $1.value.count * 8 } }

  /// Whether it was not there yet.
  mutating func insert(_ frame: UInt64) -> Bool {
    let (word, bit) = place(frame)
    let words = (1 << Int(shift)) / 64
    return sections[frame >> shift, default: [UInt64](repeating: 0, count: max(1, words))].withUnset(word, bit)
  }

  func contains(_ frame: UInt64) -> Bool {
    let (word, bit) = place(frame)
    guard let words = sections[frame >> shift] else { return false }
    return words[word] & bit != 0
  }

  private func place(_ frame: UInt64) -> (Int, UInt64) {
    let inside = frame & ((1 << shift) - 1)
    return (Int(inside / 64), 1 << (inside % 64))
  }
}

extension [UInt64] {
  /// Sets a bit; whether it was clear.
  fileprivate mutating func withUnset(_ word: Int, _ bit: UInt64) -> Bool {
    defer { self[word] |= bit }
    return self[word] & bit == 0
  }
}
