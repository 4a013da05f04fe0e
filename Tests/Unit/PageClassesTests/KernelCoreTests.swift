import CrashedKernel
import DumpBasics
import PageClasses
import Testing

@Suite struct KernelCoreTests {
  /// Frames of the machine that are in its core.
  private func frames(_ machine: TinyMachine, classes: PageClassification?) -> (Set<UInt64>, DumpError?) {
    let core = KernelCore(CrashedKernel(machine), classes)
    var frames: Set<UInt64> = []
    var end: UInt64 = 0
    for memory in machine.segments.map(\.physical) {
      core.forEach(in: memory, .fourKiB) { range, part in
        #expect(range.start == end, "every page once, in order")
        end = range.end
        if part != nil { frames.formUnion(range.start >> 12..<range.end >> 12) }
      }
      #expect(end == memory.end)
    }
    return (frames, core.finding)
  }

  /// Says only where they differ.
  private func expectSame(_ found: Set<UInt64>, _ expected: Set<UInt64>) {
    #expect(found.symmetricDifference(expected).sorted().prefix(10) == [])
  }

  /// The image (16 MiB, with the page tables and structures in it), the page map, the slab block rounded to
  /// 16 pages.
  private let plain = Set<UInt64>(0..<5120)
  private let slab = Set<UInt64>(8448..<8464)

  @Test(arguments: TinyMachine.Generation.allCases)
  func isWhatTheTablesMapOutsideOfTheDirectMapAndSlab(_ generation: TinyMachine.Generation) {
    let machine = TinyMachine(generation)
    let found = frames(machine, classes: machine.classify())
    expectSame(found.0, plain.union(slab))
    #expect(found.1 == nil)
  }

  @Test func withoutClassesThereIsAllButSlab() {
    let machine = TinyMachine()
    expectSame(frames(machine, classes: nil).0, plain)
  }

  @Test func vmallocPagesTheirTablesAndPerCPUAreasAreFound() {
    let machine = TinyMachine()
    // 0xffffc90000000000 → frame 50000 (and 50017 behind a hole); CPU_ENTRY_AREA → frame 45000. Tables in
    // high memory.
    func map(_ address: UInt64, _ frames: [UInt64: UInt64], tables: [UInt64]) {
      machine[TinyMachine.topTable + (address >> 39 & 511) * 8] = tables[0] << 12 | 3
      machine[tables[0] << 12 + (address >> 30 & 511) * 8] = tables[1] << 12 | 3
      machine[tables[1] << 12 + (address >> 21 & 511) * 8] = tables[2] << 12 | 3
      for (index, frame) in frames { machine[tables[2] << 12 + index * 8] = frame << 12 | 0x8000_0000_0000_0003 }
    }
    map(0xffff_c900_0000_0000, [0: 50000, 2: 50017], tables: [0x500, 0x501, 0x502])
    map(0xffff_fe00_0000_0000, [0: 45000], tables: [0x510, 0x511, 0x512])
    let found = frames(machine, classes: nil).0
    var expected = plain.union(50000..<50016).union(50016..<50032)
    // 64 KiB before it and 1 MiB from it on, in whole blocks of 16 pages.
    expected.formUnion(44976..<45264)
    expectSame(found, expected)
  }

  @Test func theStackOfACPUIsFoundWhereStacksAreNotMapped() throws {
    let machine = TinyMachine()
    machine.stackPointer = TinyMachine.direct + 30001 << 12 + 0x100
    // 32 KiB around it.
    expectSame(frames(machine, classes: nil).0, plain.union(30000..<30016))
  }

  @Test func tablesThatLeadInCirclesOrEverywhereEnd() {
    let circles = TinyMachine()
    for index in UInt64(256)..<511 where circles[TinyMachine.topTable + index * 8] == 0 {
      circles[TinyMachine.topTable + index * 8] = TinyMachine.topTable | 3
    }
    #expect(frames(circles, classes: nil).0.isSuperset(of: plain))

    // One table of 512 mappings of the first GiB, which the machine does not even have.
    let everywhere = TinyMachine()
    let spare: UInt64 = 0x50_0000
    for index in UInt64(0)..<512 { everywhere[spare + index * 8] = 0x83 }
    everywhere[TinyMachine.topTable + 400 * 8] = spare | 3
    let found = frames(everywhere, classes: nil)
    #expect(found.0.count == Int(TinyMachine.pages))
    #expect(found.1 != nil)

    // A table that the dump does not have.
    let missing = TinyMachine()
    missing[TinyMachine.topTable + 400 * 8] = 1 << 40 | 3
    #expect(frames(missing, classes: nil).1 != nil)
  }
}
