internal import CrashedKernel
internal import DumpBasics
internal import DumpSource
internal import Workers

/// A pass over the whole page map, on all CPUs: units are sections, results are put together in their order.
struct PageScan {
  /// What a pass gives.
  struct Result {
    var runs = ClassRuns()
    var counts = ClassCounts()
    /// Pages of the dump that are kept, by check.
    var kept = [UInt64](repeating: 0, count: Check.allCases.count)
    var tally: ScanTally
    var ledger: FreeLedger
    var links = LinkLedger()
    var extents: [MapExtent] = []
    var slab = BlockSet()
    /// Sections whose map could be read, and could not in part.
    var sectionsRead: UInt64 = 0
    var sectionsFailed: UInt64 = 0
    var findings = Findings()
    /// Of a kernel that runs: what its lists and pages contradict one another in. They change while they are
    /// read.
    var momentary = Findings()
    fileprivate var isLive = false
    fileprivate var bytes = 0
    /// Of packed runs.
    fileprivate var byteLimit = ClassRuns.leastByteLimit
  }

  let source: any DumpSource
  let memory: KernelMemory
  let sections: SectionTable
  /// Page frames of the dump, ascending, disjoint.
  let frames: [Range<UInt64>]
  let work: OrderedWork

  func run(_ rules: ScanRules) throws(DumpError) -> Result {
    let accounts = rules.zones.zones.count
    let ledger = FreeLedger(accounts: accounts, orders: Int(rules.freeOrders))
    let tally = ScanTally(accounts: accounts)
    let units = sections.sections.filter { !rules.refused.contains($0.number) }
    var workers: [ScanWorker] = []
    var result = Result(tally: tally, ledger: ledger)
    result.isLive = source.isLive
    let pages = frames.reduce(0) { $0 + UInt64($1.count) }
    result.byteLimit = max(result.byteLimit, ClassRuns.byteLimit(pages: pages) - (rules.verdicts?.listed.bytes ?? 0))
    var cursor: UInt64 = 0
    let shift = rules.geometry.shift
    let (sections, frames) = (self.sections, self.frames)
    try work.run(
      count: units.count,
      makeWorker: {
        let worker = ScanWorker(source, memory.separate(recording: false), rules, tally, ledger)
        workers.append(worker)
        return worker
      },
      makeSlot: { UnitResult() },
      work: { unit, worker, slot throws(DumpError) in worker.scan(units[unit], sections, frames, slot) },
      consume: { unit, slot throws(DumpError) in
        let start = units[unit].number << shift
        result.addKernel(frames, cursor..<start)
        result.add(slot, start, unitsLeft: units.count - unit)
        cursor = start + 1 << shift
      })
    result.addKernel(frames, cursor..<max(cursor, frames.last?.upperBound ?? 0))
    // All threads have ended; sums do not depend on who did what.
    for worker in workers {
      result.tally.merge(worker.tally)
      result.ledger.merge(worker.ledger)
      result.links.merge(worker.links)
    }
    return result
  }
}

/// Pages of `range` that are among `frames` (ascending, disjoint).
func pagesIn(_ frames: [Range<UInt64>], _ range: Range<UInt64>) -> UInt64 {
  var total: UInt64 = 0
  for piece in frames[frames.partitionPoint { $0.upperBound <= range.lowerBound }...] {
    if piece.lowerBound >= range.upperBound { break }
    total += UInt64(piece.clamped(to: range).count)
  }
  return total
}

extension PageScan.Result {
  /// Pages of the dump in `range` that have no section: the kernel's.
  fileprivate mutating func addKernel(_ frames: [Range<UInt64>], _ range: Range<UInt64>) {
    if range.isEmpty { return }
    for piece in frames[frames.partitionPoint { $0.upperBound <= range.lowerBound }...] {
      if piece.lowerBound >= range.upperBound { break }
      let part = piece.clamped(to: range)
      if part.isEmpty { continue }
      runs.pieces.append(ClassRuns.Piece(first: part.lowerBound, count: UInt64(part.count), bytes: []))
      counts[.kernel] += UInt64(part.count)
    }
  }

  fileprivate mutating func add(_ unit: UnitResult, _ first: UInt64, unitsLeft: Int) {
    extents += unit.extents
    slab.formUnion(unit.slab)
    if let missing = unit.missing, unit.missingPages > 0 {
      sectionsFailed += 1
      kept[Check.sectionMap.rawValue] += unit.missingPages
      var finding = unit.error ?? DumpError("the page map can't be read")
      finding = finding.inside(
        "page map of section \(unit.section), pfn \(hex(missing.lowerBound))-\(hex(missing.upperBound - 1))")
      finding.advice = "\(unit.missingPages) pages are kept"
      findings.add(finding, missing)
    } else {
      sectionsRead += 1
    }
    if unit.packed.isEmpty { return }
    for (index, pages) in unit.counts.enumerated() where pages > 0 {
      let code = RunCode(rawValue: UInt8(index))
      counts[code.pageClass] += pages
      if let check = code.check { kept[check.rawValue] += pages }
      if let span = unit.spans[index] { report(code, pages, span, unit.section) }
    }
    store(unit.packed, first, unit.section, unitsLeft)
  }

  private mutating func report(_ code: RunCode, _ pages: UInt64, _ span: Range<UInt64>, _ section: UInt64) {
    let place = "section \(section), pfn \(hex(span.lowerBound))-\(hex(span.upperBound - 1))"
    if let check = code.check {
      let finding = DumpError("\(check.complaint): \(pages) pages", at: place, advice: "they are kept (\(check.name))")
      if isLive { momentary.add(finding, span) } else { findings.add(finding, span) }
    } else {
      findings.add(DumpError("\(pages) pages are marked as broken hardware", at: place, advice: "they are not read"), span)
    }
  }

  /// Keeps the packed runs, coarser if a fair share of the room that is left does not hold them: twice what
  /// is left for each section, so that fragmented ones can use what others don't.
  private mutating func store(_ packed: [UInt8], _ first: UInt64, _ section: UInt64, _ unitsLeft: Int) {
    var packed = packed
    let share = max(16, (byteLimit - bytes) / max(1, unitsLeft) * 2)
    var shortest = 2
    var lost: UInt64 = 0
    while packed.count > share, shortest <= 1 << 24 {
      let (coarser, classes) = RunBytes.coarsened(packed, below: shortest)
      packed = coarser
      for pageClass in PageClass.allCases {
        counts[pageClass] -= classes[Int(pageClass.rawValue)]
        counts[.kernel] += classes[Int(pageClass.rawValue)]
        lost += classes[Int(pageClass.rawValue)]
      }
      shortest *= 2
    }
    if lost > 0 {
      kept[Check.runMemory.rawValue] += lost
      findings.add(
        DumpError(
          "memory is too fragmented to hold every class: \(lost) pages in runs shorter than \(shortest / 2)",
          at: "section \(section)", advice: "they are kept"), Findings.noFrames)
    }
    bytes += packed.count
    runs.pieces.append(
      ClassRuns.Piece(first: first, count: 0, bytes: Array(packed[...])))
  }
}
