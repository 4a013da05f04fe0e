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
    fileprivate var bytes = 0
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

/// What one section gave.
private final class UnitResult {
  /// Packed runs of the section, `RunBytes`; empty when no page of it is in the dump.
  var packed: [UInt8] = []
  var counts = [UInt64](repeating: 0, count: RunCode.count)
  /// Frames from the first to the last page of each code that is worth a finding.
  var spans = [Range<UInt64>?](repeating: nil, count: RunCode.count)
  var section: UInt64 = 0
  var missing: Range<UInt64>?
  var missingPages: UInt64 = 0
  var error: DumpError?
  var extents: [MapExtent] = []
  var slab = BlockSet()

  func begin(_ number: UInt64) {
    section = number
    packed = []
    for index in counts.indices {
      counts[index] = 0
      spans[index] = nil
    }
    missing = nil
    missingPages = 0
    error = nil
    extents = []
    slab = BlockSet()
  }
}

/// One thread's part.
private final class ScanWorker {
  private let rules: ScanRules
  private let reader: MapReader
  private(set) var tally: ScanTally
  private(set) var ledger: FreeLedger
  private(set) var links = LinkLedger()
  private let linkReader: LinkReader
  private var runs: [UInt32] = []

  init(_ source: any DumpSource, _ memory: KernelMemory, _ rules: ScanRules, _ tally: ScanTally, _ ledger: FreeLedger) {
    self.rules = rules
    linkReader = LinkReader(memory)
    reader = MapReader(
      source, memory, structSize: rules.layout.size, blockPages: 1 << Int(rules.freeOrders - 1))
    self.tally = tally
    self.ledger = ledger
  }

  func scan(_ section: MapSection, _ sections: SectionTable, _ frames: [Range<UInt64>], _ slot: UnitResult) {
    slot.begin(section.number)
    reader.begin()
    let pages = Int(rules.geometry.pages)
    let size = UInt64(rules.layout.size)
    var scan = MapScan(rules, section, reusing: runs, tally, ledger, links, linkReader)
    var offset = 0
    while offset < pages {
      let count = min(reader.piece, pages - offset)
      reader.read(section, offset: offset, count: count)
      reader.buffer.withView { view in
        if offset == 0 { adoptHead(of: view, section, sections, size, &scan) }
        scan.scan(view, offset: offset, count: count)
      }
      offset += count
    }
    runs = scan.finish()
    tally = scan.tally
    ledger = scan.ledger
    links = scan.links
    pack(section.number << rules.geometry.shift, pages, frames, slot)
    slot.extents = reader.extents
    note(reader.missing, section.number << rules.geometry.shift, frames, slot)
  }

  /// A section that begins with a tail lies inside a compound page of an earlier one.
  private func adoptHead(of view: MapView, _ section: MapSection, _ sections: SectionTable, _ size: UInt64, _ scan: inout MapScan)
  {
    let word = view.u64(0, rules.layout.compound)
    guard word & 1 != 0, word != .max else { return }
    // A pointer, or since 7.1 a mask for the tail's own address.
    let addresses = rules.tailsMayBeMasks ? [word & ~1, section.map & word & ~1] : [word & ~1]
    for address in addresses {
      guard let frame = sections.frame(ofStruct: address, Int(size)), let pair = reader.readPair(address) else { continue }
      pair.withView { scan.adopt($0, frame: frame, address: address) }
      return
    }
  }

  /// Cuts the runs down to what the dump has of the section, counts and packs them.
  private func pack(_ first: UInt64, _ pages: Int, _ frames: [Range<UInt64>], _ slot: UnitResult) {
    let last = first + UInt64(pages)
    var index = frames.partitionPoint { $0.upperBound <= first }
    if index == frames.count || frames[index].lowerBound >= last { return }
    // Locals: every change of an object's member is checked for exclusive access.
    var packer = RunBytes()
    var counts = slot.counts
    var start = first
    for run in runs {
      let end = first + UInt64(run >> 8)
      let code = RunCode(rawValue: UInt8(truncatingIfNeeded: run))
      while start < end {
        while index < frames.count, frames[index].upperBound <= start { index += 1 }
        let next = index < frames.count ? frames[index].lowerBound : last
        if start < next {
          let hole = min(end, next)
          packer.append(0, Int(hole - start))
          start = hole
        } else {
          let here = min(end, frames[index].upperBound)
          packer.append(code.pageClass.rawValue, Int(here - start))
          counts[Int(code.rawValue)] += here - start
          if code == .slab { slot.slab.insert(start..<here) }
          if code == RunCode(.hwpoison) || code.check != nil && code.check != .offlinePages {
            slot.spans[Int(code.rawValue)] = (slot.spans[Int(code.rawValue)]?.lowerBound ?? start)..<here
          }
          start = here
        }
      }
    }
    slot.packed = packer.finish()
    slot.counts = counts
  }

  /// Notes which pages of the dump have no page map.
  private func note(_ missing: [Range<Int>], _ first: UInt64, _ frames: [Range<UInt64>], _ slot: UnitResult) {
    guard let from = missing.first?.lowerBound, let to = missing.last?.upperBound else { return }
    slot.missing = first + UInt64(from)..<first + UInt64(to)
    slot.error = reader.error
    for range in missing {
      slot.missingPages += pagesIn(frames, first + UInt64(range.lowerBound)..<first + UInt64(range.upperBound))
    }
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
      findings.add(DumpError("\(check.complaint): \(pages) pages", at: place, advice: "they are kept (\(check.name))"), span)
    } else {
      findings.add(DumpError("\(pages) pages are marked as broken hardware", at: place, advice: "they are not read"), span)
    }
  }

  /// Keeps the packed runs, coarser if a fair share of the room that is left does not hold them: twice what is left for
  /// each section, so that fragmented ones can use what others don't.
  private mutating func store(_ packed: [UInt8], _ first: UInt64, _ section: UInt64, _ unitsLeft: Int) {
    var packed = packed
    let share = max(16, (ClassRuns.byteLimit - bytes) / max(1, unitsLeft) * 2)
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
