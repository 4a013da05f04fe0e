import Foundation

/// Bytes of physical memory that are kept as they are: the kernel's own structures. Everything else is
/// computed.
struct KernelBytes: Sendable {
  /// Frame → 4096 bytes.
  private(set) var pages: [UInt64: [UInt8]] = [:]
  /// Where the next allocation goes, and where room ends.
  private var cursor: UInt64
  private let end: UInt64

  /// Allocates from `arena` (in pages).
  init(arena: Range<UInt64>) {
    cursor = arena.lowerBound * 4096
    end = arena.upperBound * 4096
  }

  /// The physical address of `count` bytes that are zero.
  mutating func allocate(_ count: Int, alignment: UInt64 = 4096) -> UInt64 {
    let start = (cursor + alignment - 1) / alignment * alignment
    cursor = start + UInt64(count)
    precondition(cursor <= end, "the arena is too small: MachinePlan.arenaPages is wrong")
    for frame in start / 4096...(cursor - 1) / 4096 where pages[frame] == nil { add(frame) }
    return start
  }

  /// The same without pages of its own: for what is computed.
  mutating func reserve(pages count: UInt64) -> UInt64 {
    let start = (cursor + 4095) / 4096 * 4096
    cursor = start + count * 4096
    precondition(cursor <= end, "the arena is too small: MachinePlan.arenaPages is wrong")
    return start
  }

  mutating func store(_ value: UInt64, at address: UInt64, size: Int = 8) {
    for index in 0..<size { self[address + UInt64(index)] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
  }

  mutating func store(_ text: String, at address: UInt64) {
    for (index, byte) in text.utf8.enumerated() { self[address + UInt64(index)] = byte }
  }

  func load(_ address: UInt64) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(self[address + UInt64($1)]) << UInt64(8 * $1) }
  }

  private mutating func add(_ frame: UInt64) { pages[frame] = [UInt8](repeating: 0, count: 4096) }

  private subscript(address: UInt64) -> UInt8 {
    get { pages[address / 4096]?[Int(address % 4096)] ?? 0 }
    set {
      if pages[address / 4096] == nil { add(address / 4096) }
      pages[address / 4096]?[Int(address % 4096)] = newValue
    }
  }
}
