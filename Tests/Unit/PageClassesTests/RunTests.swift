import Testing

@testable import PageClasses

@Suite struct RunTests {
  @Test func packedRunsComeBack() {
    var packer = RunBytes()
    let runs: [(UInt8, Int)] = [(1, 1), (7, 31), (2, 32), (0, 33), (4, 159), (7, 160), (1, 32768), (3, 1 << 24)]
    for (number, length) in runs { packer.append(number, length) }
    let bytes = packer.finish()
    var offset = 0
    for (number, length) in runs {
      let read = RunBytes.read(bytes, &offset)
      #expect(read?.0 == number)
      #expect(read?.1 == length)
    }
    #expect(RunBytes.read(bytes, &offset) == nil)
  }

  @Test func runsThatTouchAreJoined() {
    var packer = RunBytes()
    packer.append(PageClass.kernel.rawValue, 10)
    packer.append(0, 5)
    packer.append(PageClass.user.rawValue, 5)
    var runs = ClassRuns()
    runs.pieces = [
      .init(first: 0, count: 20, bytes: []), .init(first: 20, count: 20, bytes: packer.finish()),
      .init(first: 100, count: 7, bytes: []),
    ]
    #expect(
      Array(runs) == [ClassRun(0..<30, .kernel), ClassRun(35..<40, .user), ClassRun(100..<107, .kernel)])
  }

  /// What happens when memory is too fragmented (`Check.runMemory`): short runs are the kernel's.
  @Test func coarseningKeepsShortRuns() {
    var packer = RunBytes()
    for _ in 0..<100 {
      packer.append(PageClass.free.rawValue, 3)
      packer.append(PageClass.kernel.rawValue, 2)
    }
    packer.append(PageClass.user.rawValue, 50)
    let fine = packer.finish()
    let (coarse, lost) = RunBytes.coarsened(fine, below: 4)
    #expect(coarse.count < 8)
    #expect(lost[Int(PageClass.free.rawValue)] == 300)
    var offset = 0
    #expect(RunBytes.read(coarse, &offset)?.1 == 500)
    #expect(RunBytes.read(coarse, &offset)?.0 == PageClass.user.rawValue)
  }

  @Test func mapsThatShareMemory() {
    func extent(_ start: UInt64, _ address: UInt64) -> MapExtent {
      MapExtent(range: .init(start: start, count: 0x200000)!, address: address)
    }
    // The same mapping found twice, also in part, is none.
    #expect(MapExtent.shared([extent(0, 0x1000_0000), extent(0, 0x1000_0000), extent(0x200000, 0x1020_0000)]).isEmpty)
    #expect(MapExtent.shared([extent(0, 0x1000_0000), extent(0x200000, 0x5000_0000), extent(0x100000, 0x9000_0000)]).count == 4)
  }

  /// In pages of 4 KiB: 128 MiB, 1 TiB, 4 TiB, and what a header may claim at most.
  @Test(arguments: [(1 << 15, 24), (1 << 28, 24), (1 << 30, 96), (1 << 52, 3 << 27)] as [(UInt64, Int)])
  func roomForRunsGrowsWithMemory(_ pages: UInt64, _ mebibytes: Int) {
    #expect(ClassRuns.byteLimit(pages: pages) == mebibytes << 20)
  }
}
