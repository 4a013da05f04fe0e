internal import DumpBasics
internal import Synchronization

/// The blocks that were inflated last, kept for small reads as those of page tables are.
final class InflatedBlocks: Sendable {
  private struct Block {
    var start: UInt64
    var bytes: [UInt8]
  }

  private let limit: Int
  private let blocks = Mutex<[Block]>([])

  /// Keeps at most `limit` blocks.
  init(limit: Int) { self.limit = limit }

  /// Copies what one block has from `offset` on; returns how many bytes, or nil when none of them holds
  /// `offset`.
  func copy(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int? {
    blocks.withLock { blocks in
      guard let block = blocks.first(where: { offset >= $0.start && offset - $0.start < UInt64($0.bytes.count) }) else {
        return nil
      }
      let skip = Int(offset - block.start)
      let count = min(buffer.count, block.bytes.count - skip)
      unsafe buffer.copyBytes(from: block.bytes[skip..<skip + count])
      return count
    }
  }

  /// `bytes` are the uncompressed file from `start` on.
  func remember(_ bytes: [UInt8], at start: UInt64) {
    blocks.withLock { blocks in
      if blocks.count >= limit { blocks.removeFirst() }
      blocks.append(Block(start: start, bytes: bytes))
    }
  }
}

extension CompressedContent {
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    let (end, overflow) = offset.addingReportingOverflow(UInt64(buffer.count))
    guard !overflow, end <= size else {
      throw damage ?? DumpError("reading past the end, at \(hex(offset))", at: name)
    }
    var done = 0
    while done < buffer.count {
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      if let count = unsafe inflatedBlocks.copy(at: offset + UInt64(done), into: rest) {
        done += count
      } else {
        done += unsafe try inflate(at: offset + UInt64(done), into: rest)
      }
    }
  }
}
