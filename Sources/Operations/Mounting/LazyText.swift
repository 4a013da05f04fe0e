internal import Synchronization

/// A text that is made when somebody reads it, once. Who reads it meanwhile waits.
public final class LazyText: Sendable {
  private let make: @Sendable () -> String
  private let bytes = Mutex<[UInt8]?>(nil)
  /// What is kept of it: a report of the largest machine has some megabytes.
  public static let limit = 16 << 20

  public init(_ make: @escaping @Sendable () -> String) { self.make = make }

  /// Copies from `offset` on; returns how many bytes, 0 at its end.
  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let bytes = bytes.withLock { bytes in
      if let bytes { return bytes }
      let made = Array(make().utf8.prefix(LazyText.limit))
      bytes = made
      return made
    }
    guard let start = Int(exactly: offset), start < bytes.count else { return 0 }
    let count = min(buffer.count, bytes.count - start)
    unsafe buffer.copyBytes(from: bytes[start..<start + count])
    return count
  }
}
