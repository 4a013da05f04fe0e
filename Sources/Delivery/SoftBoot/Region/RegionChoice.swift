public import DumpBasics

/// Where a dump may lie in the memory of the crashed kernel. docs/region.md, "Where".
public struct RegionChoice: Sendable, Equatable {
  public var extents: RegionExtents
  /// Whether pages that the level leaves out are among them, and not only free ones.
  public var usesLeftOut: Bool

  /// Chooses at most 8 extents that hold `wanted` bytes of a dump, or as many as there is room for: of free
  /// memory, and only if that is not enough, of what the level leaves out too. Nil where there is no room at
  /// all.
  ///
  /// `free` are pages that both the page map and the free lists call free, `leftOut` those that go for their
  /// class; neither may hold a page that is kept. `never` is what this kernel itself lies in, and everything
  /// else that is no memory to write to. All of them are sorted and disjoint.
  public init?(
    wanted: UInt64, free: [PhysicalRange], leftOut: [PhysicalRange], never: [PhysicalRange],
    extentLimit: Int = RegionExtents.limit
  ) {
    let units = min(
      RegionExtents.unitLimit, max(1, wanted / RegionLayout.payloadSize + (wanted % RegionLayout.payloadSize > 0 ? 1 : 0)))
    let lowest = PhysicalRange(0, RegionExtents.lowest).map { [$0] } ?? []
    let barred = RangeSet.joined(lowest + never)
    let first = RegionChoice.chosen(units, RegionChoice.windows(RangeSet.joined(free), barred), extentLimit)
    if let first, first.units >= units || leftOut.isEmpty {
      extents = first
      usesLeftOut = false
      return
    }
    let second = RegionChoice.chosen(units, RegionChoice.windows(RangeSet.joined(free + leftOut), barred), extentLimit)
    guard let best = second ?? first else { return nil }
    usesLeftOut = best.units > first?.units ?? 0
    extents = usesLeftOut ? best : first ?? best
  }

  /// What of `ranges` is not barred, cut to whole units.
  private static func windows(_ ranges: [PhysicalRange], _ barred: [PhysicalRange]) -> [PhysicalRange] {
    var windows: [PhysicalRange] = []
    let mask = RegionLayout.unitSize - 1
    for range in ranges where range.count > mask && range.end <= 1 << 52 {
      for piece in RangeSet.subtracting(barred, from: range) {
        if let window = PhysicalRange((piece.start + mask) & ~mask, piece.end & ~mask) { windows.append(window) }
      }
    }
    return windows
  }

  /// The fewest extents that give `units`: the largest first, of equals the highest, since what lies low is
  /// what devices and the next kernel's start are particular about.
  private static func chosen(_ units: UInt64, _ windows: [PhysicalRange], _ limit: Int) -> RegionExtents? {
    let ordered = windows.sorted { ($0.count, $0.start) > ($1.count, $1.start) }
    var left = units
    var chosen: [PhysicalRange] = []
    for window in ordered.prefix(min(limit, RegionExtents.limit)) where left > 0 {
      let taken = min(left, window.count / RegionLayout.unitSize)
      // Its upper end.
      if let part = PhysicalRange(window.end - taken * RegionLayout.unitSize, window.end) { chosen.append(part) }
      left -= taken
    }
    return try? RegionExtents(chosen.sorted { $0.start < $1.start })
  }
}

extension RegionChoice {
  /// Of what a plan leaves out, by the classes that its note has (docs/format.md): free pages, and those of
  /// page cache and processes. Offline and broken pages are never written to, nor is memory whose class
  /// nobody looked for.
  public init?(wanted: UInt64, of absent: AbsentRanges, never: [PhysicalRange], extentLimit: Int = RegionExtents.limit) {
    func ranges(_ classes: ClosedRange<UInt32>) -> [PhysicalRange] {
      absent.joined(atLeast: RegionLayout.unitSize) { $0.reason == .level && classes.contains($0.pageClass) }
    }
    self.init(wanted: wanted, free: ranges(1...1), leftOut: ranges(1...4), never: never, extentLimit: extentLimit)
  }
}

/// All that /proc/iomem lists at its outer level, or what it calls `kind` there: in a crash kernel its own
/// memory, that of the firmware, devices. The memory of the crashed kernel is not among it. Nil where
/// addresses are hidden, as from everybody but root.
public func occupiedMemory(iomem: String, kind: String? = nil) -> [PhysicalRange]? {
  var ranges: [PhysicalRange] = []
  var highest: UInt64 = 0
  for line in iomem.utf8.split(separator: 0x0a) where line.first != 0x20 {
    guard let blank = line.firstIndex(of: 0x20), let dash = line[..<blank].firstIndex(of: 0x2d),
      let first = UInt64(String(Substring(line[..<dash])), radix: 16),
      let last = UInt64(String(Substring(line[line.index(after: dash)..<blank])), radix: 16), last < .max
    else { return nil }
    highest = max(highest, last)
    // Behind the range stands " : ".
    if let kind, !line[blank...].dropFirst(3).elementsEqual(kind.utf8) { continue }
    if let range = PhysicalRange(first, last + 1) { ranges.append(range) }
  }
  // Hidden addresses are zeros.
  return highest >= 1 << 20 ? RangeSet.joined(ranges) : nil
}
