/// Why memory of the source is not in the dump. The numbers stand in the MCORE note (docs/format.md).
public enum Absence: UInt32, Sendable, CaseIterable {
  /// The level leaves it out.
  case level = 1
  /// The source ended before it: a file that was cut.
  case sourceCut = 2
  /// The source says that it could not be read when the source was made.
  case unreadable = 3
  /// The dump itself ends before it. Never in a note: a reader finds it out.
  case cutOff = 4

  public var text: String {
    switch self {
    case .level: "left out by the level"
    case .sourceCut: "not in the source, which was cut off"
    case .unreadable: "unreadable when the source was made"
    case .cutOff: "cut off: the dump ends before them"
    }
  }
}

/// Memory that is not in the dump, and why.
public struct AbsentRange: Sendable, Equatable {
  public var range: PhysicalRange
  public var reason: Absence
  /// The class of its pages, as docs/format.md numbers them; 0 where none is known.
  public var pageClass: UInt32
  public init(_ range: PhysicalRange, _ reason: Absence, pageClass: UInt32 = 0) {
    self.range = range
    self.reason = reason
    self.pageClass = pageClass
  }
}

/// Memory that is not in a dump, by ascending address and disjoint; a sequence, since it is kept packed: a
/// machine of 1 TiB has millions of such ranges, and a crash kernel little room. Mostly 2 or 3 bytes each.
///
/// Packed, as in the MCORE note (docs/format.md): a byte with the class in bits 0 to 2, the reason in bits 3
/// to 5, bit 6 where the range begins right behind the one before, bit 7 where numbers are bytes and not
/// units of 4096; then, without bit 6, how far it begins behind the end of the one before (the first: behind
/// 0), then its length, as `SevenBitNumbers`.
public struct AbsentRanges: Sequence, Sendable {
  /// The ranges as the MCORE note has them.
  public private(set) var encoded: [UInt8] = []
  private var last: AbsentRange?
  /// Where `last` begins in `encoded`, and where the range before it ends.
  private var lastOffset = 0
  private var endBefore: UInt64 = 0

  private enum Tag {
    static let reasonShift: UInt8 = 3
    static let touches: UInt8 = 1 << 6
    static let inBytes: UInt8 = 1 << 7
  }
  private static let unitShift: UInt64 = 12

  public init() {}

  public init(_ ranges: some Sequence<AbsentRange>) { for range in ranges { append(range) } }

  public var isEmpty: Bool { last == nil }

  /// Ranges have to come by ascending address. What of one lies before the end of the one before is taken
  /// off; one that touches it and is absent for the same reason, as the same class, is joined to it.
  public mutating func append(_ entry: AbsentRange) {
    var entry = entry
    if var last {
      guard let rest = PhysicalRange(Swift.max(entry.range.start, last.range.end), entry.range.end) else { return }
      entry.range = rest
      if last.range.end == rest.start, last.reason == entry.reason, last.pageClass == entry.pageClass {
        last.range.end = rest.end
        entry = last
        encoded.removeLast(encoded.count - lastOffset)
      } else {
        lastOffset = encoded.count
        endBefore = last.range.end
      }
    }
    AbsentRanges.pack(entry, after: endBefore, &encoded)
    last = entry
  }

  /// These and `others` (sorted).
  public func merged(with others: some Sequence<AbsentRange>) -> AbsentRanges {
    var result = AbsentRanges()
    var others = others.makeIterator()
    var other = others.next()
    for entry in self {
      while let before = other, before.range.start < entry.range.start {
        result.append(before)
        other = others.next()
      }
      result.append(entry)
    }
    while let rest = other {
      result.append(rest)
      other = others.next()
    }
    return result
  }

  /// The ranges that `body` asks for, those that touch joined, without those of fewer than `count` bytes.
  public func joined(atLeast count: UInt64, where body: (AbsentRange) -> Bool) -> [PhysicalRange] {
    var result: [PhysicalRange] = []
    var current: PhysicalRange?
    for entry in self where body(entry) {
      if let open = current, open.end == entry.range.start {
        current?.end = entry.range.end
      } else {
        if let open = current, open.count >= count { result.append(open) }
        current = entry.range
      }
    }
    if let current, current.count >= count { result.append(current) }
    return result
  }

  // MARK: packed

  /// - Throws: when `bytes` are not what `encoded` gives; `place` is where they stand.
  public init(encoded bytes: [UInt8], at place: String) throws(DumpError) {
    var offset = 0
    var count = 0
    while offset < bytes.count {
      guard let entry = AbsentRanges.unpack(bytes, &offset, after: last?.range.end ?? 0) else {
        throw DumpError("range \(count) of what is not in the dump is damaged", at: place)
      }
      append(entry)
      count += 1
    }
  }

  private static func pack(_ entry: AbsentRange, after end: UInt64, _ bytes: inout [UInt8]) {
    let gap = entry.range.start - end
    let unit: UInt64 = (gap | entry.range.count) & (1 << unitShift - 1) == 0 ? unitShift : 0
    bytes.append(
      UInt8(truncatingIfNeeded: entry.pageClass & 7) | UInt8(truncatingIfNeeded: entry.reason.rawValue & 7) << Tag.reasonShift
        | (gap == 0 ? Tag.touches : 0) | (unit == 0 ? Tag.inBytes : 0))
    if gap > 0 { SevenBitNumbers.append(gap >> unit, to: &bytes) }
    SevenBitNumbers.append(entry.range.count >> unit, to: &bytes)
  }

  private static func unpack(_ bytes: [UInt8], _ offset: inout Int, after end: UInt64) -> AbsentRange? {
    let tag = bytes[offset]
    offset += 1
    guard let reason = Absence(rawValue: UInt32(tag >> Tag.reasonShift & 7)) else { return nil }
    let unit = tag & Tag.inBytes == 0 ? unitShift : 0
    func number() -> UInt64? {
      guard let value = SevenBitNumbers.read(bytes, &offset), (value << unit) >> unit == value else { return nil }
      return value << unit
    }
    let gap = tag & Tag.touches == 0 ? number() : 0
    guard let gap, let count = number(), !end.addingReportingOverflow(gap).overflow,
      let range = PhysicalRange(start: end + gap, count: count)
    else { return nil }
    return AbsentRange(range, reason, pageClass: UInt32(tag & 7))
  }

  public struct Iterator: IteratorProtocol {
    private let bytes: [UInt8]
    private var offset = 0
    private var end: UInt64 = 0

    fileprivate init(_ bytes: [UInt8]) { self.bytes = bytes }

    public mutating func next() -> AbsentRange? {
      guard offset < bytes.count, let entry = AbsentRanges.unpack(bytes, &offset, after: end) else { return nil }
      end = entry.range.end
      return entry
    }
  }

  public func makeIterator() -> Iterator { Iterator(encoded) }
}

extension AbsentRanges: Equatable {
  public static func == (a: AbsentRanges, b: AbsentRanges) -> Bool { a.elementsEqual(b) }
}
