import CrashedKernel
import DumpBasics
import DumpSource
import PageClasses
import PageSelection
import TestSupport
import Testing
import Workers

@testable import SoftBoot

@Suite struct RegionChoiceTests {
  private let mib: UInt64 = 1 << 20
  private func range(_ start: UInt64, _ end: UInt64) -> PhysicalRange { span(start * mib, (end - start) * mib) }

  @Test func theLargestAndHighestIsTaken() throws {
    let free = [range(16, 20), range(32, 48), range(64, 80), range(4096, 4100)]
    let choice = try #require(RegionChoice(wanted: 6_000_000, free: free, leftOut: [], never: []))
    #expect(choice.extents.ranges == [range(74, 80)] && !choice.usesLeftOut)
    // One byte decides about a unit.
    let payload = RegionLayout.payloadSize
    #expect(RegionChoice(wanted: 2 * payload, free: free, leftOut: [], never: [])?.extents.ranges == [range(76, 80)])
    #expect(RegionChoice(wanted: 2 * payload + 1, free: free, leftOut: [], never: [])?.extents.ranges == [range(74, 80)])
    let more = try #require(RegionChoice(wanted: 9 * payload, free: free, leftOut: [], never: []))
    #expect(more.extents.ranges == [range(46, 48), range(64, 80)])
    // As much as there is.
    #expect(RegionChoice(wanted: 1 << 40, free: free, leftOut: [], never: [])?.extents.ranges == free)
    #expect(RegionChoice(wanted: .max, free: free, leftOut: [], never: [])?.extents.ranges == free)
    #expect(RegionChoice(wanted: 0, free: free, leftOut: [], never: [])?.extents.ranges == [range(78, 80)])
  }

  @Test func onlyWholeUnitsCountAndEightExtents() throws {
    #expect(RegionChoice(wanted: 1, free: [range(0, 2), range(3, 5)], leftOut: [], never: []) == nil)
    #expect(RegionChoice(wanted: 1, free: [range(3, 7)], leftOut: [], never: [])?.extents.ranges == [range(4, 6)])
    let many = (1...20).map { range(UInt64($0) * 10, UInt64($0) * 10 + 2 + UInt64($0) / 10 * 2) }
    let choice = try #require(RegionChoice(wanted: 1 << 30, free: many, leftOut: [], never: []))
    #expect(choice.extents.ranges == Array(many[12...19]))
  }

  @Test func leftOutMemoryOnlyWhereFreeMemoryIsNotEnough() throws {
    let free = [range(16, 20), range(33, 40)]
    let leftOut = [range(20, 33), range(100, 104)]
    let enough = try #require(RegionChoice(wanted: 9_000_000, free: free, leftOut: leftOut, never: []))
    #expect(!enough.usesLeftOut && enough.extents.ranges == [range(16, 20), range(34, 40)].suffix(2))
    let more = try #require(RegionChoice(wanted: 20_000_000, free: free, leftOut: leftOut, never: []))
    #expect(more.usesLeftOut && more.extents.ranges == [range(20, 40)])
    // Where it does not help, it is left alone.
    #expect(RegionChoice(wanted: 1 << 40, free: free, leftOut: [range(50, 51)], never: [])?.usesLeftOut == false)
  }

  @Test func whatIsBarredIsNotTaken() throws {
    let choice = try #require(
      RegionChoice(wanted: 1 << 40, free: [range(0, 64)], leftOut: [], never: [range(10, 13), range(40, 41), range(60, 70)]))
    #expect(choice.extents.ranges == [range(2, 10), range(14, 40), range(42, 60)])
    #expect(RegionChoice(wanted: 1, free: [range(16, 32)], leftOut: [], never: [range(0, 64)]) == nil)
  }

  @Test func iomemIsRead() {
    let text = """
      00000000-00000fff : Reserved
      00001000-0009fbff : System RAM
      2f000000-3effffff : System RAM
        2fa00000-306fffff : Kernel code
      3f000000-3fffffff : Reserved
      fee00000-fee00fff : Local APIC
      """
    #expect(
      occupiedMemory(iomem: text) == [
        PhysicalRange(0, 0x9fc00)!, PhysicalRange(0x2f00_0000, 0x4000_0000)!, PhysicalRange(0xfee0_0000, 0xfee0_1000)!,
      ])
    #expect(
      occupiedMemory(iomem: text, kind: "System RAM") == [
        PhysicalRange(0x1000, 0x9fc00)!, PhysicalRange(0x2f00_0000, 0x3f00_0000)!,
      ])
    #expect(occupiedMemory(iomem: text, kind: "Persistent Memory (legacy)") == [])
    #expect(occupiedMemory(iomem: "00000000-00000000 : System RAM\n00000000-00000000 : Reserved\n") == nil)
    #expect(occupiedMemory(iomem: "nonsense") == nil)
    #expect(occupiedMemory(iomem: "") == nil)
  }

  /// Random memory maps, page by page: what is chosen is never kept, never barred, and no more could have
  /// been had of one kind in eight extents.
  @Test func randomMapsHoldNoSurprise() {
    var random = SplitMix(11)
    for _ in 0..<400 {
      // 128 MiB in quarters of a MiB: 0 kept, 1 free, 2 left out, 3 barred.
      var map: [UInt64] = []
      while map.count < 512 {
        let kind = random.below(10) < 4 ? 1 : random.below(4)
        map += [UInt64](repeating: kind, count: 1 + Int(random.below(40)))
      }
      map = Array(map.prefix(512))
      func ranges(_ kind: UInt64) -> [PhysicalRange] {
        RangeSet.joined(map.indices.filter { map[$0] == kind }.map { PhysicalRange(start: UInt64($0) << 18, count: 1 << 18)! })
      }
      let wanted = random.below(64 << 20)
      // What is barred may be free by the page map all the same.
      let choice = RegionChoice(
        wanted: wanted, free: RangeSet.joined(ranges(1) + ranges(3)), leftOut: ranges(2), never: ranges(3))
      func unitsOf(_ kinds: Set<UInt64>) -> [Int] {
        // Lengths of runs of whole units.
        var runs: [Int] = []
        var run = 0
        for unit in 1..<64 {
          if map[unit * 8..<unit * 8 + 8].allSatisfy({ kinds.contains($0) }) {
            run += 1
          } else {
            if run > 0 { runs.append(run) }
            run = 0
          }
        }
        if run > 0 { runs.append(run) }
        return runs
      }
      let needed = max(1, Int((wanted + RegionLayout.payloadSize - 1) / RegionLayout.payloadSize))
      func best(_ kinds: Set<UInt64>) -> Int { unitsOf(kinds).sorted(by: >).prefix(8).reduce(0, +) }
      let free = best([1])
      let expected = free >= needed ? needed : max(free, min(needed, best([1, 2])))
      #expect(Int(choice?.extents.units ?? 0) == expected)
      guard let choice else { continue }
      #expect(choice.usesLeftOut == (expected > min(free, needed)))
      for extent in choice.extents.ranges {
        let kinds = Set(map[Int(extent.start >> 18)..<Int(extent.end >> 18)])
        #expect(kinds.isSubset(of: choice.usesLeftOut ? [1, 2] : [1]))
      }
    }
  }

  /// On whole machines: every page of the region is what it was taken for, by the truth of the one who made
  /// the machine.
  @Test(arguments: [KernelGeneration.v6_1, .v7_2], ["kern", "used"])
  func onAMachineNoKeptPageIsTaken(generation: KernelGeneration, name: String) throws {
    let machine = SyntheticMachine(SyntheticMachineConfiguration(generation, memory: 2 << 30, lowMemory: 1 << 30))
    let kernel = CrashedKernel(machine)
    let classes = PageClassification(kernel, work: OrderedWork(threads: 2))
    let level = try #require(Level(named: name))
    let selection = PageSelection(level, machine, witnesses: [], classes: classes, pageSize: kernel.pageSize)
    // The crash kernel sits on the machine's upper half of what lies below 1 GiB.
    let never = [range(512, 768)]
    var sizes: [UInt64] = []
    for wanted in [UInt64(1) << 20, 24 << 20, 1 << 30] {
      let choice = try #require(RegionChoice(wanted: wanted, of: selection.absent, never: never))
      sizes.append(choice.extents.units)
      var found: Set<SyntheticClass> = []
      for extent in choice.extents.ranges {
        #expect(extent.end <= 512 * mib || extent.start >= 768 * mib)
        #expect(!selection.kept.contains { $0.range.intersection(extent) != nil })
        for frame in extent.start >> 12..<extent.end >> 12 {
          #expect(machine.isDumped(PageFrame(frame)))
          if let pageClass = machine.trueClass(PageFrame(frame)) { found.insert(pageClass) }
        }
      }
      #expect(choice.usesLeftOut ? found.isSuperset(of: [.user]) && name == "kern" : found == [.free], "\(found)")
      #expect(found.isDisjoint(with: [.kernel, .offline, .hwpoison]))
    }
    #expect(sizes[0] == 1 && sizes[1] == 13)
    #expect(sizes[2] >= 13)
  }
}
