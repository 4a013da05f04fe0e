// Checked reading and writing of integers in bytes that come from outside. Every multi-byte value of a dump
// passes here, so bounds and byte order are looked after in one place.

/// Reads integers from bytes with bounds checks. Offsets are from the start of `bytes`.
///
/// Nil means "not inside": callers turn it into an error that names what they were looking for.
public struct ByteReader: Sendable {
  public let bytes: [UInt8]
  public let order: ByteOrder

  public init(_ bytes: [UInt8], _ order: ByteOrder) {
    self.bytes = bytes
    self.order = order
  }

  public var count: Int { bytes.count }

  public func u8(_ offset: Int) -> UInt8? { bytes.indices.contains(offset) ? bytes[offset] : nil }
  public func u16(_ offset: Int) -> UInt16? { load(offset, 2).map { UInt16(truncatingIfNeeded: $0) } }
  public func u32(_ offset: Int) -> UInt32? { load(offset, 4).map { UInt32(truncatingIfNeeded: $0) } }
  public func u64(_ offset: Int) -> UInt64? { load(offset, 8) }

  /// `size` is 1, 2, 4 or 8: an integer whose width is known only at run time, as from VMCOREINFO.
  public func load(_ offset: Int, _ size: Int) -> UInt64? {
    guard offset >= 0, size > 0, size <= 8, offset <= bytes.count - size else { return nil }
    var value: UInt64 = 0
    for index in 0..<size {
      let byte = UInt64(bytes[offset + index])
      value |= byte << UInt64(8 * (order == .little ? index : size - 1 - index))
    }
    return value
  }

  /// `count` bytes, or nil when they are not all there.
  public func slice(_ offset: Int, _ count: Int) -> [UInt8]? {
    guard offset >= 0, count >= 0, count <= bytes.count, offset <= bytes.count - count else { return nil }
    return Array(bytes[offset..<offset + count])
  }

  /// A C string of at most `limit` bytes, up to its NUL or the end of the bytes.
  public func text(_ offset: Int, limit: Int) -> String? {
    guard offset >= 0, offset <= bytes.count else { return nil }
    let end = min(bytes.count, offset + max(0, limit))
    return String(decoding: bytes[offset..<end].prefix { $0 != 0 }, as: UTF8.self)
  }
}

/// Puts integers into bytes in a stated order: the twin of `ByteReader`.
public struct ByteWriter: Sendable {
  public private(set) var bytes: [UInt8] = []
  public let order: ByteOrder

  /// `capacity`: how many bytes will be written, where they are so many that growing would cost memory.
  public init(_ order: ByteOrder = .little, capacity: Int = 0) {
    self.order = order
    bytes.reserveCapacity(capacity)
  }
  public var count: Int { bytes.count }

  public mutating func u8(_ value: UInt8) { bytes.append(value) }
  public mutating func u16(_ value: UInt16) { store(UInt64(value), 2) }
  public mutating func u32(_ value: UInt32) { store(UInt64(value), 4) }
  public mutating func u64(_ value: UInt64) { store(value, 8) }
  public mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }
  public mutating func zeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }

  /// Zeros up to the next multiple of `alignment`.
  public mutating func align(_ alignment: Int) {
    let over = bytes.count % alignment
    if over != 0 { zeros(alignment - over) }
  }

  /// Puts `value` where bytes of it were written before.
  public mutating func replace(at offset: Int, with value: [UInt8]) {
    bytes.replaceSubrange(offset..<offset + value.count, with: value)
  }

  private mutating func store(_ value: UInt64, _ size: Int) {
    for index in 0..<size {
      let shift = UInt64(8 * (order == .little ? index : size - 1 - index))
      bytes.append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }
}
