public import DumpBasics
public import DumpSource
public import Workers

/// Which of the kept memory is zero: long runs by range, all of it by number of pages.
public struct ZeroScan: Sendable {
  /// Runs of zero pages that are long enough to be worth a program header; sorted.
  public var longRuns: [PhysicalRange] = []
  /// All zero pages, those in short runs too.
  public var zeroPages: UInt64 = 0

  /// Shorter runs stay in line: a PT_LOAD of their own and one more for what follows would cost 112 bytes and slow every
  /// reader, while a block of zeros compresses to about 80.
  public static let longRun: UInt64 = 1 << 20
  private static let unitSize: UInt64 = 16 << 20
  /// Small enough to be still in the processor's cache when it is looked at.
  private static let readSize = 128 << 10

  /// Reads all of `ranges` (sorted, disjoint) with all workers. A page that can't be read is not zero. `progress` hears
  /// how many bytes are done.
  public init(
    _ ranges: [PhysicalRange], _ source: any DumpSource, _ pageSize: PageSize, _ work: OrderedWork,
    progress: (UInt64) -> Void
  ) throws(DumpError) {
    let units = ZeroScan.units(ranges, pageSize)
    var pending: PhysicalRange?
    var done: UInt64 = 0
    var runs: [PhysicalRange] = []
    var pages: UInt64 = 0
    func close() {
      if let run = pending, run.count >= ZeroScan.longRun { runs.append(run) }
      pending = nil
    }
    try work.run(
      count: units.count, makeWorker: { ReadBuffer(ZeroScan.readSize) }, makeSlot: { Found() },
      work: { unit, buffer, found throws(DumpError) in
        found.runs.removeAll(keepingCapacity: true)
        found.pages = 0
        buffer.findZeros(in: units[unit], source, pageSize, found)
      },
      consume: { unit, found throws(DumpError) in
        for run in found.runs {
          if let last = pending, last.end == run.start {
            pending?.end = run.end
          } else {
            close()
            pending = run
          }
        }
        pages += found.pages
        done += units[unit].count
        progress(done)
      })
    close()
    longRuns = runs
    zeroPages = pages
  }

  /// Pieces of bounded size, cut at page borders.
  private static func units(_ ranges: [PhysicalRange], _ pageSize: PageSize) -> [PhysicalRange] {
    var units: [PhysicalRange] = []
    for range in ranges {
      var cursor = range.start
      while cursor < range.end {
        let next = min(range.end, pageSize.floor(cursor) + unitSize)
        if let unit = PhysicalRange(cursor, next) { units.append(unit) }
        cursor = next
      }
    }
    return units
  }
}

private final class Found {
  var runs: [PhysicalRange] = []
  var pages: UInt64 = 0
}

/// A worker's memory to read into.
@safe private final class ReadBuffer {
  private let memory: UnsafeMutableRawBufferPointer
  init(_ size: Int) { unsafe memory = .allocate(byteCount: size, alignment: 4096) }
  deinit { unsafe memory.deallocate() }

  func findZeros(in range: PhysicalRange, _ source: any DumpSource, _ pageSize: PageSize, _ found: Found) {
    var cursor = range.start
    while cursor < range.end {
      let end = unsafe min(range.end, pageSize.floor(cursor) + UInt64(memory.count))
      let buffer = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[0..<Int(end - cursor)])
      do throws(DumpError) {
        unsafe try source.read(at: PhysicalAddress(cursor), into: buffer)
        unsafe scan(UnsafeRawBufferPointer(buffer), at: cursor, pageSize, found)
      } catch {
        scanPageByPage(cursor, end, source, pageSize, found)
      }
      cursor = end
    }
  }

  private func scanPageByPage(_ start: UInt64, _ end: UInt64, _ source: any DumpSource, _ pageSize: PageSize, _ found: Found) {
    var cursor = start
    while cursor < end {
      let next = min(end, pageSize.floor(cursor) + pageSize.bytes)
      let page = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[0..<Int(next - cursor)])
      if unsafe (try? source.read(at: PhysicalAddress(cursor), into: page)) != nil {
        unsafe scan(UnsafeRawBufferPointer(page), at: cursor, pageSize, found)
      }
      cursor = next
    }
  }

  private func scan(_ bytes: UnsafeRawBufferPointer, at start: UInt64, _ pageSize: PageSize, _ found: Found) {
    var offset = 0
    while offset < bytes.count {
      let here = start + UInt64(offset)
      let next = min(bytes.count, offset + Int(pageSize.floor(here) + pageSize.bytes - here))
      if unsafe isZero(UnsafeRawBufferPointer(rebasing: bytes[offset..<next])) {
        found.pages += 1
        let end = start + UInt64(next)
        if let last = found.runs.last, last.end == here {
          found.runs[found.runs.count - 1].end = end
        } else if let run = PhysicalRange(here, end) {
          found.runs.append(run)
        }
      }
      offset = next
    }
  }
}
