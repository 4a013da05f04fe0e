internal import CrashedKernel
internal import DumpBasics
internal import DumpSource
internal import Workers

/// Verifies a dump that stores page for page, and has no checksums of its own beside those of its codec:
/// reads every page.
func verifyPages(
  _ source: any DumpSource, _ work: OrderedWork, _ reporter: any Reporter
) throws(DumpError) -> Verification {
  let pageSize = CrashedKernel(source).pageSize
  let coverage = source.coverage()
  let units = coverage.lazy.filter { $0.kind != .cut }.flatMap { PageReader.units($0.range) }
  let total = units.reduce(0) { $0 + $1.count }
  var done: UInt64 = 0
  var bad: UInt64 = 0
  var problems: [String] = []
  let list = Array(units)
  try work.run(
    count: list.count, makeWorker: { PageReader() }, makeSlot: { PageResult() },
    work: { unit, reader, result throws(DumpError) in reader.read(list[unit], source, pageSize, result) },
    consume: { unit, result throws(DumpError) in
      bad += result.unreadable
      if let error = result.firstError, problems.count < 20 { problems.append(error.description) }
      done += list[unit].count
      reporter.progress(done: done, total: total)
    })

  var lines = ["read \(total >> pageSize.shift) pages, \(humanBytes(total))"]
  if bad > 0 { lines.append("\(bad) pages can't be read") }
  lines += problems
  var isHeadWrong = false
  #if Kdump
    switch (source as? KdumpSource)?.checkHead() {
    case .wrong(let error):
      isHeadWrong = true
      lines.append(error.description)
    case .unknown where source.statement != nil && source.shortfall == nil:
      lines.append("headers, notes and bitmaps have no checksum: an older mcore wrote the file, or its last bytes are damaged")
    default: break
    }
  #endif
  let findings = DumpFindings(source)
  lines += findings.lines
  if source.statement == nil { lines.append("not written by mcore: pages have no checksums but those of their codec") }
  let isCut = source.shortfall != nil || coverage.contains { $0.kind == .cut } || !findings.now.isEmpty
  return Verification(verdict: bad > 0 || isHeadWrong ? .corrupt : isCut ? .incomplete : .whole, lines: lines)
}

private final class PageResult {
  var unreadable: UInt64 = 0
  var firstError: DumpError?
}

/// A worker's memory to read into.
@safe private final class PageReader {
  private static let unit: UInt64 = 256 << 10
  private let memory: UnsafeMutableRawBufferPointer
  init() { unsafe memory = .allocate(byteCount: Int(PageReader.unit), alignment: 4096) }
  deinit { unsafe memory.deallocate() }

  /// `range` in pieces that fit.
  static func units(_ range: PhysicalRange) -> [PhysicalRange] {
    stride(from: range.start, to: range.end, by: Int(unit)).compactMap {
      PhysicalRange($0, min(range.end, clampedSum($0, unit)))
    }
  }

  /// In one go; where that fails, page by page.
  func read(_ range: PhysicalRange, _ source: any DumpSource, _ pageSize: PageSize, _ result: PageResult) {
    result.unreadable = 0
    result.firstError = nil
    if isReadable(range, source, result) { return }
    var start = range.start
    while start < range.end {
      let end = min(range.end, pageSize.floor(start) + pageSize.bytes)
      if let page = PhysicalRange(start, end), !isReadable(page, source, result) { result.unreadable += 1 }
      start = end
    }
  }

  private func isReadable(_ range: PhysicalRange, _ source: any DumpSource, _ result: PageResult) -> Bool {
    do throws(DumpError) {
      unsafe try source.read(
        at: PhysicalAddress(range.start), into: UnsafeMutableRawBufferPointer(rebasing: memory[0..<Int(range.count)]))
      return true
    } catch {
      if result.firstError == nil { result.firstError = error }
      return false
    }
  }
}
