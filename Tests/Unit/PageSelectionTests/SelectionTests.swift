import CrashedKernel
import DumpBasics
import DumpSource
import PageClasses
import TestSupport
import Testing
import Workers

@testable import PageSelection

/// Selection on a whole machine.
@Suite struct Selection {
  private let machine: SyntheticMachine
  private let kernel: CrashedKernel
  private let classes: PageClassification

  init() {
    var configuration = SyntheticMachineConfiguration(.v6_12, memory: 512 << 20, lowMemory: 256 << 20, seed: 5)
    configuration.fragmentedShare = 100
    machine = SyntheticMachine(configuration)
    kernel = CrashedKernel(machine)
    classes = PageClassification(kernel, work: OrderedWork(threads: 2))
  }

  private func select(_ level: Level, _ limit: Int = PageSelection.stretchLimit) -> PageSelection {
    PageSelection(level, machine, witnesses: [], classes: classes, pageSize: kernel.pageSize, stretchLimit: limit)
  }

  private func pages(_ selection: PageSelection) -> UInt64 {
    RangeSet.joined(selection.kept.map(\.range)).reduce(0) { $0 + $1.count } / 4096
  }

  @Test func whatIsKeptAndWhatIsNotIsAllMemoryOnce() {
    let all = RangeSet.joined(machine.coverage().map(\.range))
    for level in [Level.kern, .used, .all] {
      let selection = select(level)
      let parts = (selection.kept.map(\.range) + selection.absent.map(\.range)).sorted { $0.start < $1.start }
      #expect(zip(parts, parts.dropFirst()).allSatisfy { $0.end <= $1.start }, "no byte twice")
      #expect(RangeSet.joined(parts) == all)
      #expect(selection.closedGaps == 0)
    }
    #expect(pages(select(.kern)) == classes.counts[.kernel])
    #expect(pages(select(.used)) == [PageClass.kernel, .user, .cache, .cachePrivate].reduce(0) { $0 + classes.counts[$1] })
  }

  /// Readers go through program headers one by one: beyond the ceiling the smallest gaps are kept, and
  /// counted.
  @Test(arguments: [1000, 300, 40]) func fragmentedMemoryStaysBelowTheCeiling(limit: Int) {
    let free = select(.kern)
    #expect(free.kept.count > 1000, "or there is nothing to show")
    let bound = select(.kern, limit)
    #expect(bound.kept.count <= limit)
    #expect(bound.closedGaps > 0)
    #expect(pages(bound) == pages(free) + bound.closedPages)
    // All that was kept before is kept.
    let kept = RangeSet.joined(bound.kept.map(\.range))
    #expect(free.kept.allSatisfy { RangeSet.subtracting(kept, from: $0.range).isEmpty })
    // A level that leaves nothing out is coarsened without keeping more.
    let all = select(.all, limit)
    #expect(all.closedGaps == 0)
  }
}
