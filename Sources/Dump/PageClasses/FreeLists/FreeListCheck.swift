internal import CrashedKernel
internal import DumpBasics

/// Compares what the page map says is free with the free lists, `nr_free` and NR_FREE_PAGES, for each zone
/// and order.
struct FreeListCheck {
  let rules: ScanRules
  let walk: (_ limit: UInt64) -> FreeListWalk
  /// CPUs that can hold back a part of a counter.
  let processors: Int

  /// `NR_FREE_PAGES` lags behind: each CPU holds back at most this many pages in an s8 of its own
  /// (`vm_stat_diff`, include/linux/mmzone.h; the threshold, mm/vmstat.c, calculate_normal_threshold(), is at
  /// most 125), and one more change may have been under way when the CPU was stopped.
  static let heldBack = 127

  func verdicts(
    _ scan: PageScan.Result, _ checks: inout CheckTable, _ findings: inout Findings
  ) -> FreeVerdicts {
    let orders = Int(rules.freeOrders)
    var verdicts = FreeVerdicts(
      accounts: rules.zones.zones.count, orders: orders, sectionShift: rules.geometry.shift)
    for (account, zones) in rules.zones.zones.enumerated() {
      for order in 0..<orders {
        check(account, zones, order, scan.ledger[account, order], &verdicts, &checks, &findings)
      }
      checkCounter(account, zones, scan, &verdicts, &checks, &findings)
    }
    return verdicts
  }

  // MARK: Lists and nr_free

  private func check(
    _ account: Int, _ zones: [Zone], _ order: Int, _ marked: FreeLedger.Entry, _ verdicts: inout FreeVerdicts,
    _ checks: inout CheckTable, _ findings: inout Findings
  ) {
    let lists = zones.flatMap { $0.orders[order].lists }
    var ring = marked
    for head in lists { ring.add(own: head.address, next: head.next, previous: head.previous) }
    // Counts come from the dump: a sum past 2^64 agrees with nothing.
    let counted = zones.reduce(UInt64(0)) { $0.addingReportingOverflow($1.orders[order].count).partialValue }
    if ring.isClosed && marked.blocks == counted {
      checks.passed(.freeLists)
      checks.passed(.freeCount)
      return
    }
    let place = "\(rules.zones.name(account)), order \(order)"
    // A list may hold blocks that lost their mark, so a few more than are marked.
    let outcome = walk(marked.blocks + 1024).walk(lists, order: UInt64(order), in: rules.zones.frames[account], &verdicts.listed)
    verdicts[account, order] = .listedOnly
    let isWhole = outcome.broken == 0 && outcome.unmarked == 0 && outcome.listed == marked.blocks
    if isWhole {
      checks.passed(.freeLists)
    } else {
      checks.failed(.freeLists)
      var what = "\(marked.blocks) blocks are marked as free, \(outcome.listed) of them are on the free lists"
      if outcome.unmarked > 0 { what += "; \(outcome.unmarked) on the lists are not marked" }
      if outcome.broken > 0 { what += "; \(outcome.broken) lists are broken: \(outcome.place ?? "")" }
      findings.add(DumpError(what, at: place, advice: "what only one of them calls free is kept"), rules.zones.frames[account])
    }
    // nr_free agrees with what the lists lead to (a broken one is walked from both ends), or with the marks.
    let walked = outcome.listed + outcome.unmarked
    if counted == walked || counted == marked.blocks {
      checks.passed(.freeCount)
    } else {
      checks.failed(.freeCount)
      verdicts[account, order] = .refused(.freeCount)
      findings.add(
        DumpError("nr_free is \(counted), the free lists have \(walked) blocks", at: place, advice: "they are kept"),
        rules.zones.frames[account])
    }
  }

  // MARK: NR_FREE_PAGES

  /// The zone's counter against all its free blocks. Isolated blocks (memory that is being taken out of use)
  /// are on lists and not counted (mm/page_isolation.c); unaccepted memory is counted and on no list that we
  /// know.
  private func checkCounter(
    _ account: Int, _ zones: [Zone], _ scan: PageScan.Result, _ verdicts: inout FreeVerdicts, _ checks: inout CheckTable,
    _ findings: inout Findings
  ) {
    let free = Int64(clamping: scan.tally.freePages[account])
    let unaccepted = Int64(clamping: scan.tally.unacceptedPages[account])
    var counter: Int64 = 0
    for zone in zones {
      let (sum, overflow) = counter.addingReportingOverflow(zone.freePages)
      counter = overflow ? .min : sum
    }
    let tolerance = Int64(max(1, processors) * FreeListCheck.heldBack * zones.count)
    func agrees(_ expected: Int64) -> Bool {
      let (difference, overflow) = counter.subtractingReportingOverflow(expected)
      return !overflow && difference.magnitude <= tolerance.magnitude
    }
    // Blocks whose mark is damaged are in nr_free still; where they are kept for that, the zone need not be
    // kept too.
    let counted = Int64(clamping: countedPages(zones))
    let (all, overflow) = counted.addingReportingOverflow(unaccepted)
    if agrees(free + unaccepted) || !overflow && agrees(all) { return checks.passed(.zoneCounter) }
    // Between lists with isolated blocks and lists without them; only then the walk is worth its time.
    let place = rules.zones.name(account)
    if counter < free, agrees(free + unaccepted - isolated(account, zones)) { return checks.passed(.zoneCounter) }
    checks.failed(.zoneCounter)
    verdicts.unaccepted[account] = false
    if !agrees(free) { for order in 0..<verdicts.orders { verdicts[account, order] = .refused(.zoneCounter) } }
    var what = "NR_FREE_PAGES is \(counter), \(free) pages are in free blocks"
    if unaccepted > 0 { what += " and \(unaccepted) are unaccepted" }
    what += ", more than \(tolerance) apart"
    findings.add(DumpError(what, at: place, advice: "the zone's free pages are kept"), rules.zones.frames[account])
  }

  /// Pages in free blocks by `nr_free`; 2^64 - 1 when that is nonsense.
  private func countedPages(_ zones: [Zone]) -> UInt64 {
    var pages: UInt64 = 0
    for zone in zones {
      for (order, area) in zone.orders.enumerated() {
        let (product, tooMany) = area.count.multipliedReportingOverflow(by: 1 << UInt64(order))
        let (sum, overflow) = pages.addingReportingOverflow(product)
        if tooMany || overflow { return .max }
        pages = sum
      }
    }
    return pages
  }

  /// Pages on the lists of the last migrate type, which is MIGRATE_ISOLATE where the kernel has it.
  private func isolated(_ account: Int, _ zones: [Zone]) -> Int64 {
    var pages: UInt64 = 0
    for order in 0..<Int(rules.freeOrders) {
      var listed = FrameSet(sectionShift: rules.geometry.shift)
      let heads = zones.compactMap { $0.orders[order].lists.last }
      let outcome = walk(1 << 20).walk(heads, order: UInt64(order), in: rules.zones.frames[account], &listed)
      pages += outcome.listed << UInt64(order)
    }
    return Int64(clamping: pages)
  }
}
