// The integers of a dump, each with its meaning. All are 64-bit whatever the machine that runs mcore.

/// A physical address of the crashed machine, in bytes.
public struct PhysicalAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var rawValue: UInt64
  @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  public var description: String { hex(rawValue) }
}

/// A kernel virtual address of the crashed machine, in bytes.
public struct VirtualAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var rawValue: UInt64
  @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  public var description: String { hex(rawValue) }

  /// The address `offset` bytes on, or nil past the end of the address space.
  @inlinable public func advanced(by offset: UInt64) -> VirtualAddress? {
    let (sum, overflow) = rawValue.addingReportingOverflow(offset)
    return overflow ? nil : VirtualAddress(sum)
  }
}

/// A page frame number: physical address / page size.
public struct PageFrame: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var rawValue: UInt64
  @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  public var description: String { "pfn \(hex(rawValue))" }
}

/// The size of a page: a power of two from 4 KiB to 64 KiB.
public struct PageSize: Hashable, Sendable, CustomStringConvertible {
  /// log2 of the size in bytes: 12 to 16.
  public let shift: UInt64
  @inlinable public var bytes: UInt64 { 1 << shift }
  public var description: String { "\(bytes / 1024) KiB" }

  /// Nil unless `bytes` is 4096, 16384 or 65536 (or a power of two between): what Linux supports on the
  /// architectures we know.
  public init?(bytes: UInt64) {
    guard bytes >= 4096, bytes <= 65536, bytes.nonzeroBitCount == 1 else { return nil }
    shift = UInt64(bytes.trailingZeroBitCount)
  }

  public static let fourKiB = PageSize(shift: 12)
  private init(shift: UInt64) { self.shift = shift }

  @inlinable public func frame(of address: PhysicalAddress) -> PageFrame { PageFrame(address.rawValue >> shift) }
  /// The first byte of a page frame. The frame must lie below 2^64 bytes.
  @inlinable public func address(of frame: PageFrame) -> PhysicalAddress { PhysicalAddress(frame.rawValue << shift) }
  /// Pages that `range` touches; a partial one counts as one.
  @inlinable public func pages(in range: PhysicalRange) -> UInt64 {
    ((range.end - 1) >> shift) - (range.start >> shift) + 1
  }
  /// `value` rounded down to a page border.
  @inlinable public func floor(_ value: UInt64) -> UInt64 { value & ~(bytes - 1) }
  /// `value` rounded up to a page border, or nil when that is 2^64 or more.
  @inlinable public func ceil(_ value: UInt64) -> UInt64? {
    let (sum, overflow) = value.addingReportingOverflow(bytes - 1)
    return overflow ? nil : floor(sum)
  }
}

/// A half-open range of physical addresses, `start ..< end`; never empty, never past 2^64 - 1.
public struct PhysicalRange: Hashable, Sendable, CustomStringConvertible {
  public var start: UInt64
  public var end: UInt64
  @inlinable public var count: UInt64 { end - start }

  /// Nil when the range would be empty or run past the end of the address space.
  @inlinable public init?(start: UInt64, count: UInt64) {
    let (end, overflow) = start.addingReportingOverflow(count)
    guard !overflow, count > 0 else { return nil }
    self.start = start
    self.end = end
  }

  /// Nil when empty or reversed.
  @inlinable public init?(_ start: UInt64, _ end: UInt64) {
    guard start < end else { return nil }
    self.start = start
    self.end = end
  }

  @inlinable public func intersection(_ other: PhysicalRange) -> PhysicalRange? {
    PhysicalRange(max(start, other.start), min(end, other.end))
  }
  @inlinable public func contains(_ address: UInt64) -> Bool { address >= start && address < end }
  public var description: String { "\(hex(start))-\(hex(end - 1))" }
}

/// The sum, or 2^64 - 1 where it would be larger: for numbers that a dump merely claims.
@inlinable public func clampedSum(_ one: UInt64, _ other: UInt64) -> UInt64 {
  let (sum, overflow) = one.addingReportingOverflow(other)
  return overflow ? .max : sum
}

/// The product, or the largest number where it has no room.
public func clampedProduct(_ one: UInt64, _ other: UInt64) -> UInt64 {
  let (product, overflow) = one.multipliedReportingOverflow(by: other)
  return overflow ? .max : product
}

/// `0x` and lower-case digits, as the kernel prints addresses.
public func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

/// At least `width` digits, with zeros in front.
public func padded(_ value: some BinaryInteger, _ width: Int, radix: Int = 10) -> String {
  let digits = String(value, radix: radix)
  return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}

/// A count of bytes for people: `512 B`, `12.3 KiB`, `1.5 GiB`.
public func humanBytes(_ bytes: UInt64) -> String {
  let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
  if bytes < 1024 { return "\(bytes) B" }
  var scaled = bytes
  var remainder: UInt64 = 0
  var unit = -1
  while scaled >= 1024, unit + 1 < units.count {
    remainder = scaled % 1024
    scaled /= 1024
    unit += 1
  }
  return "\(scaled).\(remainder * 10 / 1024) \(units[unit])"
}
