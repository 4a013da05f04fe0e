public import DumpBasics

/// Where things lie in a region. docs/region.md, "Units".
public enum RegionLayout {
  /// A region is made of these; extents are aligned to them.
  public static let unitSize: UInt64 = 2 << 20
  public static let headSize = 4096
  /// In a unit: the table of its chunks behind the place for the first head.
  static let tableOffset: UInt64 = 4096
  static let payloadOffset: UInt64 = 8192
  /// In a unit: the place for the second head, behind the payload.
  static let secondHeadOffset = unitSize - UInt64(headSize)
  /// Bytes of the dump in a unit: 509 pages of 4 KiB.
  public static let payloadSize = secondHeadOffset - payloadOffset
  /// What has a checksum of its own.
  static let chunkSize = 65536
  static let chunksPerUnit = 32

  /// The last chunk of a unit is smaller: 52 KiB.
  static func chunkSize(_ chunk: Int) -> Int {
    chunk % chunksPerUnit < chunksPerUnit - 1 ? chunkSize : Int(payloadSize) - (chunksPerUnit - 1) * chunkSize
  }

  /// Where a chunk begins in the dump.
  static func position(ofChunk chunk: Int) -> UInt64 {
    UInt64(chunk / chunksPerUnit) * payloadSize + UInt64(chunk % chunksPerUnit * chunkSize)
  }

  /// Where a chunk begins in its unit.
  static func offset(ofChunk chunk: Int) -> UInt64 { payloadOffset + UInt64(chunk % chunksPerUnit * chunkSize) }

  /// How many chunks `length` bytes take.
  static func chunks(_ length: UInt64) -> Int {
    let rest = length % payloadSize
    return Int(length / payloadSize) * chunksPerUnit + (Int(rest) + chunkSize - 1) / chunkSize
  }
}

/// The memory of a region: 1 to 8 extents, ascending, disjoint, aligned to 2 MiB, not below 1 MiB.
public struct RegionExtents: Sendable, Equatable {
  public static let limit = 8
  /// 1 TiB: what one region may have at most, so that a claim costs no memory.
  static let unitLimit: UInt64 = 1 << 19
  static let lowest: UInt64 = 1 << 20

  public let ranges: [PhysicalRange]
  /// For each extent: units of those before it.
  private let before: [UInt64]
  public let units: UInt64

  public init(_ ranges: [PhysicalRange]) throws(DumpError) {
    guard (1...RegionExtents.limit).contains(ranges.count) else {
      throw DumpError("a region has 1 to \(RegionExtents.limit) extents, not \(ranges.count)")
    }
    var last = RegionExtents.lowest
    var before: [UInt64] = []
    var units: UInt64 = 0
    for range in ranges {
      guard range.start % RegionLayout.unitSize == 0, range.end % RegionLayout.unitSize == 0, range.start >= last,
        range.end <= 1 << 52
      else {
        throw DumpError(
          "not an extent of a region", at: "\(range)",
          advice: "extents are ascending, aligned to 2 MiB and not below 1 MiB")
      }
      last = range.end
      before.append(units)
      units += range.count / RegionLayout.unitSize
    }
    guard units <= RegionExtents.unitLimit else { throw DumpError("a region of \(units) units is too large") }
    self.ranges = ranges
    self.before = before
    self.units = units
  }

  /// As `memmap=` has ranges: `0x600000@0x20000000,0x200000@0x30000000`.
  public var text: String {
    var text = ""
    for range in ranges { text += (text.isEmpty ? "" : ",") + "\(hex(range.count))@\(hex(range.start))" }
    return text
  }

  /// Bytes of a dump that fit.
  public var capacity: UInt64 { units * RegionLayout.payloadSize }

  /// The physical address of a unit; `unit` is below `units`.
  func address(ofUnit unit: UInt64) -> UInt64 {
    let index = before.partitionPoint { $0 <= unit } - 1
    return ranges[index].start + (unit - before[index]) * RegionLayout.unitSize
  }

  /// Where the head with this generation is written: in turn, to the first page and to the last.
  func headAddress(_ generation: UInt64) -> UInt64 {
    generation % 2 == 1 ? address(ofUnit: 0) : address(ofUnit: units - 1) + RegionLayout.secondHeadOffset
  }

  /// The first `count` units (at least one).
  func prefix(_ count: UInt64) -> RegionExtents {
    var left = max(1, min(count, units))
    var kept: [PhysicalRange] = []
    for range in ranges where left > 0 {
      let taken = min(left, range.count / RegionLayout.unitSize)
      if let part = PhysicalRange(start: range.start, count: taken * RegionLayout.unitSize) { kept.append(part) }
      left -= taken
    }
    return (try? RegionExtents(kept)) ?? self
  }
}
