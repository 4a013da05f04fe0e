/// A set of pages in blocks of 16 frames: what lies in a block with a page of the set counts as in it. For an
/// order of need that is near enough, and memory is 8 KiB for each GiB that has any page of it.
struct BlockSet: Sendable {
  /// log2 of frames in a block.
  static let blockShift: UInt64 = 4
  private static let sectionShift: UInt64 = 15
  /// Section of 2^15 frames → 2^11 bits.
  private var sections: [UInt64: [UInt64]] = [:]

  mutating func insert(_ frames: Range<UInt64>) {
    if frames.isEmpty { return }
    var block = frames.lowerBound >> BlockSet.blockShift
    let last = (frames.upperBound - 1) >> BlockSet.blockShift
    while block <= last {
      let section = block >> (BlockSet.sectionShift - BlockSet.blockShift)
      let end = min(last, (section + 1) << (BlockSet.sectionShift - BlockSet.blockShift) - 1)
      set(block...end, section)
      block = end + 1
    }
  }

  private mutating func set(_ blocks: ClosedRange<UInt64>, _ section: UInt64) {
    let words = 1 << Int(BlockSet.sectionShift - BlockSet.blockShift - 6)
    for block in blocks {
      let bit = block & (UInt64(words) * 64 - 1)
      sections[section, default: [UInt64](repeating: 0, count: words)][Int(bit >> 6)] |= 1 << (bit & 63)
    }
  }

  mutating func formUnion(_ other: BlockSet) {
    sections.merge(other.sections) { one, other in zip(one, other).map { $0 | $1 } }
  }

  func contains(_ frame: UInt64) -> Bool {
    guard let words = sections[frame >> BlockSet.sectionShift] else { return false }
    let bit = frame >> BlockSet.blockShift & (UInt64(words.count) * 64 - 1)
    return words[Int(bit >> 6)] >> (bit & 63) & 1 != 0
  }
}
