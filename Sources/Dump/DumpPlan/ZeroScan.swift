public import CoreEncoding
public import DumpBasics
public import DumpSource
public import Workers

/// Which long stretches of the kept memory are zero: what the layout of the file has to know before its first
/// byte.
///
/// Only whole blocks of 512 KiB, aligned by address, are looked for: every run of zeros of 1 MiB holds at
/// least one. Of a block that is not zero mostly one page is read, so that this costs little beside what it
/// saves, and the first byte of the dump does not wait until all memory was read once. Zero pages elsewhere
/// stay in line, where they take next to nothing; the pipeline counts them.
public struct ZeroScan: Sendable {
  /// Blocks that are zero, joined; sorted. A PT_LOAD each and one more for what follows cost 112 bytes and
  /// slow every reader: the same memory in line would take about 700.
  public var longRuns: [PhysicalRange] = []

  /// Bytes of a block, and so of the shortest run.
  public static let longRun: UInt64 = 512 << 10
  private static let blocksPerUnit = 32
  /// Small enough to be still in the processor's cache when it is looked at.
  private static let readSize = 128 << 10

  /// For a dump whose zeros all stay in line.
  public init() {}

  /// What a dump of ours says of itself, so that it need not be read twice: memory in its hole, and memory
  /// that its headers promise without data. Nil when not all of the hole is zeros.
  public init?(_ source: any DumpSource, _ note: MCoreNote) {
    guard let hole = PhysicalRange(start: note.holeOffset, count: max(1, note.holeSize)) else { return nil }
    var runs: [PhysicalRange] = []
    var inHole: [(offset: UInt64, range: PhysicalRange)] = []
    for piece in source.coverage() {
      switch piece.kind {
      case .data(let offset) where hole.contains(offset):
        guard piece.range.count <= hole.end - offset else { return nil }
        inHole.append((offset, piece.range))
        runs.append(piece.range)
      case .zeros: runs.append(piece.range)
      case .data, .cut: break
      }
    }
    // Where the note says that the hole is, is a claim: each byte of it is looked at, once.
    let buffer = ReadBuffer(ZeroScan.readSize)
    var seen: UInt64 = 0
    for (offset, range) in inHole.sorted(by: { ($0.offset, $0.range.start) < ($1.offset, $1.range.start) }) {
      let known = seen > offset ? seen - offset : 0
      guard let rest = PhysicalRange(range.start + min(known, range.count), range.end) else { continue }
      guard buffer.isZero(rest, source, probe: ZeroScan.readSize) else { return nil }
      seen = offset + range.count
    }
    longRuns = RangeSet.joined(runs)
  }

  /// Looks into all of `ranges` (sorted, disjoint) with all workers. Memory that can't be read is not zero.
  /// `progress` hears how many bytes are done.
  public init(
    _ ranges: some Sequence<PhysicalRange>, _ source: any DumpSource, _ pageSize: PageSize, _ work: OrderedWork,
    progress: (UInt64) -> Void
  ) throws(DumpError) {
    // What a header alone promises is zero without a look, however much it is.
    let promised = ZeroScan.promised(source, pageSize)
    let ranges = Array(ranges)
    let units = ZeroScan.units(promised.isEmpty ? ranges : ranges.flatMap { RangeSet.subtracting(promised, from: $0) })
    let probe = Int(pageSize.bytes)
    var done: UInt64 = 0
    var runs: [PhysicalRange] = []
    try work.run(
      count: units.count, makeWorker: { ReadBuffer(max(ZeroScan.readSize, probe)) }, makeSlot: { Found() },
      work: { unit, buffer, found throws(DumpError) in
        found.blocks.removeAll(keepingCapacity: true)
        var start = units[unit].start
        while let block = PhysicalRange(start: start, count: ZeroScan.longRun), block.end <= units[unit].end {
          if buffer.isZero(block, source, probe: probe) { found.blocks.append(block) }
          start = block.end
        }
      },
      consume: { unit, found throws(DumpError) in
        for block in found.blocks {
          if let last = runs.last, last.end == block.start {
            runs[runs.count - 1].end = block.end
          } else {
            runs.append(block)
          }
        }
        done += units[unit].count
        progress(done)
      })
    longRuns =
      promised.isEmpty
      ? runs
      : RangeSet.joined(
        runs + ranges.flatMap { RangeSet.common(promised, $0) })
  }

  /// Memory that reads as zeros since its segment has no data for it: whole pages, long runs alone.
  private static func promised(_ source: any DumpSource, _ pageSize: PageSize) -> [PhysicalRange] {
    RangeSet.joined(
      source.coverage().compactMap { piece in
        guard piece.kind == .zeros, piece.range.count >= longRun, let start = pageSize.ceil(piece.range.start) else { return nil }
        return PhysicalRange(start, pageSize.floor(piece.range.end))
      })
  }

  /// The whole blocks in `ranges`, as stretches of bounded size.
  private static func units(_ ranges: some Sequence<PhysicalRange>) -> [PhysicalRange] {
    var units: [PhysicalRange] = []
    for range in ranges {
      let (sum, overflow) = range.start.addingReportingOverflow(longRun - 1)
      let end = range.end / longRun * longRun
      var cursor = overflow ? end : sum / longRun * longRun
      while cursor < end {
        let next = min(end, cursor + longRun * UInt64(blocksPerUnit))
        if let unit = PhysicalRange(cursor, next) { units.append(unit) }
        cursor = next
      }
    }
    return units
  }
}

private final class Found {
  var blocks: [PhysicalRange] = []
}

/// A worker's memory to read into.
@safe private final class ReadBuffer {
  private let memory: UnsafeMutableRawBufferPointer
  init(_ size: Int) { unsafe memory = .allocate(byteCount: size, alignment: 4096) }
  deinit { unsafe memory.deallocate() }

  /// Reads `probe` bytes, and the rest only if these are zero.
  func isZero(_ block: PhysicalRange, _ source: any DumpSource, probe: Int) -> Bool {
    var cursor = block.start
    var size = probe
    while cursor < block.end {
      let count = Int(min(UInt64(size), block.end - cursor))
      let buffer = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[0..<count])
      guard unsafe (try? source.read(at: PhysicalAddress(cursor), into: buffer)) != nil,
        unsafe DumpBasics.isZero(UnsafeRawBufferPointer(buffer))
      else { return false }
      cursor += UInt64(count)
      unsafe size = memory.count
    }
    return true
  }
}
