internal import CoreEncoding
internal import DumpBasics

/// Goes from block to block of a BGZF file that lies in units: the last resort, when head and tables are
/// gone. Each block has a checksum of its own.
struct BlockWalk {
  private let memory: any RegionMemory
  private let units: [UInt64?]
  private let end: UInt64
  /// How far the next block is looked for behind a damaged one: two blocks. What lies further off is as
  /// likely to be of an earlier dump.
  private static let reach = 2 * BGZF.maximumMember

  init(_ memory: any RegionMemory, _ units: [UInt64?]) {
    self.memory = memory
    self.units = units
    end = UInt64(units.count) * RegionLayout.payloadSize
  }

  /// Whether a dump begins in the unit at this address: its first block holds the start of an ELF file.
  static func begins(_ memory: any RegionMemory, _ place: UInt64) -> Bool {
    guard let block = BlockWalk(memory, [place]).block(at: 0), !block.isLast else { return false }
    return block.content.starts(with: [0x7f, 0x45, 0x4c, 0x46])
  }

  /// The bytes of all blocks that inflate, up to the mark of the end or to where no more is found.
  func goodRanges() -> [Range<UInt64>] {
    var ranges: [Range<UInt64>] = []
    var position: UInt64 = 0
    while position < end {
      guard let block = block(at: position) else {
        guard let next = nextBlock(after: position) else { break }
        position = next
        continue
      }
      let stop = position + UInt64(block.size)
      if let last = ranges.last, last.upperBound == position {
        ranges[ranges.count - 1] = last.lowerBound..<stop
      } else {
        ranges.append(position..<stop)
      }
      if block.isLast { break }
      position = stop
    }
    return ranges
  }

  private func nextBlock(after position: UInt64) -> UInt64? {
    let start = position + 1
    guard start < end,
      let bytes = try? stream(memory, units, start, Int(min(end - start, UInt64(BlockWalk.reach))))
    else { return nil }
    let magic = BGZF.endOfFile[..<4]
    for offset in bytes.indices where bytes[offset] == magic[0] && bytes[offset...].starts(with: magic) {
      if block(at: start + UInt64(offset)) != nil { return start + UInt64(offset) }
    }
    return nil
  }

  private func block(at position: UInt64) -> (size: Int, content: [UInt8], isLast: Bool)? {
    guard let header = try? stream(memory, units, position, BGZF.headerSize), let size = BGZF.memberSize(header),
      let member = try? stream(memory, units, position, size), let inflater = try? BGZFInflater()
    else { return nil }
    var content: [UInt8]?
    try? unsafe member.lent { (member) throws(DumpError) in
      guard let count = unsafe BGZFInflater.contentSize(member) else { return }
      content = unsafe try [UInt8].filled(count) { (buffer) throws(DumpError) in
        unsafe try inflater.inflate(member, into: buffer, at: "a block")
      }
    }
    return content.map { (size, $0, $0.isEmpty) }
  }
}
