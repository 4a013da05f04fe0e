internal import CrashedKernel
internal import DumpBasics
internal import DumpSource

/// What one section gave.
final class UnitResult {
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
final class ScanWorker {
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

  /// A section that begins with a tail lies inside a compound page of an earlier one. So does one that begins
  /// with a copy of its head (`MapScan.isFakeHead`): then the second page is the tail.
  private func adoptHead(of view: MapView, _ section: MapSection, _ sections: SectionTable, _ size: UInt64, _ scan: inout MapScan)
  {
    var word = view.u64(0, rules.layout.compound)
    if word & 1 == 0, view.pages > 1 { word = view.u64(1, rules.layout.compound) }
    guard word & 1 != 0, word != .max else { return }
    // A pointer, or since 7.1 a mask for the tail's own address.
    let addresses = rules.tailsMayBeMasks ? [word & ~1, section.map & word & ~1] : [word & ~1]
    for address in addresses {
      guard let frame = sections.frame(ofStruct: address, Int(size)), frame < section.number << rules.geometry.shift,
        let pair = reader.readPair(address)
      else { continue }
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
