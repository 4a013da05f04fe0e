/// A copy of a piece of the dump that threads beside work on: what the pipeline lends is its own again when
/// the write returns, and one that hangs in the kernel reads on.
@safe final class SideBuffer: @unchecked Sendable {
  // SAFETY: filled before any thread gets it, and not written to again until none has it.
  private let memory: UnsafeMutableRawBufferPointer
  private var count = 0

  init(capacity: Int) { unsafe memory = .allocate(byteCount: max(capacity, 1), alignment: 4096) }

  deinit { unsafe memory.deallocate() }

  var capacity: Int { unsafe memory.count }

  func fill(_ bytes: UnsafeRawBufferPointer) {
    unsafe memory.copyMemory(from: bytes)
    count = bytes.count
  }

  var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(rebasing: memory[0..<count]) }
}

/// Buffers, used over and over as long as nobody else holds one.
struct SideBuffers {
  private var buffer: SideBuffer?

  mutating func copy(_ bytes: UnsafeRawBufferPointer) -> SideBuffer {
    if let buffer, buffer.capacity >= bytes.count, isKnownUniquelyReferenced(&self.buffer) {
      unsafe buffer.fill(bytes)
      return buffer
    }
    let made = SideBuffer(capacity: bytes.count)
    unsafe made.fill(bytes)
    buffer = made
    return made
  }
}
