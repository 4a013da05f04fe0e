public import DumpBasics
internal import Synchronization

/// Blocks of a file that costs something to read, those that were used last; of bounded size, from any number
/// of threads.
@safe public final class BlockCache: Sendable {
  private struct Block {
    var bytes: [UInt8]
    /// When it was used last.
    var turn: UInt64
  }

  private struct State {
    var blocks: [UInt64: Block] = [:]
    var turn: UInt64 = 0
  }

  private let blockSize: UInt64
  private let limit: Int
  private let fileSize: UInt64
  private let fill: @Sendable (UInt64, UnsafeMutableRawBufferPointer) throws(DumpError) -> Void
  private let state = Mutex(State())

  /// Keeps at most `bytes`, and at least one block. `fill` reads from an offset of the file.
  public init(
    blockSize: Int, bytes: UInt64, fileSize: UInt64,
    fill: @escaping @Sendable (UInt64, UnsafeMutableRawBufferPointer) throws(DumpError) -> Void
  ) {
    self.blockSize = UInt64(blockSize)
    self.fileSize = fileSize
    limit = Int(clamping: max(1, bytes / UInt64(blockSize)))
    unsafe self.fill = fill
  }

  /// Blocks that are kept now.
  public var count: Int { state.withLock { $0.blocks.count } }

  /// Fills `buffer`, which lies within the file.
  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    guard offset <= fileSize, UInt64(buffer.count) <= fileSize - offset else {
      throw DumpError("reading past the end, at \(hex(offset))")
    }
    var done = 0
    while done < buffer.count {
      let here = offset + UInt64(done)
      let number = here / blockSize
      let skip = Int(here - number * blockSize)
      let bytes: [UInt8]
      do throws(DumpError) {
        bytes = try block(number)
      } catch {
        // What is damaged may be a page that nobody asked for.
        let count = min(buffer.count - done, Int(blockSize) - skip)
        unsafe try fill(here, UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count]))
        done += count
        continue
      }
      let count = min(buffer.count - done, bytes.count - skip)
      unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count]).copyBytes(from: bytes[skip..<skip + count])
      done += count
    }
  }

  private func block(_ number: UInt64) throws(DumpError) -> [UInt8] {
    let known = state.withLock { state -> [UInt8]? in
      state.turn += 1
      state.blocks[number]?.turn = state.turn
      return state.blocks[number]?.bytes
    }
    if let known { return known }
    // Two threads may read the same block at once: one of them for nothing, and neither waits.
    let start = number * blockSize
    let fill = unsafe self.fill
    let bytes = unsafe try [UInt8].filled(Int(min(blockSize, fileSize - start))) { (buffer) throws(DumpError) in
      unsafe try fill(start, buffer)
    }
    state.withLock { state in
      if state.blocks.count >= limit, let oldest = state.blocks.min(by: { $0.value.turn < $1.value.turn }) {
        state.blocks[oldest.key] = nil
      }
      state.blocks[number] = Block(bytes: bytes, turn: state.turn)
    }
    return bytes
  }
}
