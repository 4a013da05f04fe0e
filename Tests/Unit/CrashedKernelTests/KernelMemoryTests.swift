import CrashedKernel
import DumpBasics
import DumpSource
import Testing

@Suite struct KernelMemoryTests {
  private func make(_ change: (inout SyntheticMachine) -> Void) throws -> (KernelMemory, SyntheticSource) {
    var machine = SyntheticMachine()
    change(&machine)
    let source = machine.source
    return (try KernelMemory(source, #require(VMCoreInfo(notes: source.notes)), pageSize: .fourKiB), source)
  }
  private let base: UInt64 = 0xffff_8880_0000_0000

  @Test func readsCrossPagesThatAreNotNeighboursInPhysicalMemory() throws {
    let (memory, _) = try make { machine in
      machine.map(base, 0x9000)
      machine.map(base + 0x1000, 0x5000)
      machine.write(0x9ffc, [1, 2, 3, 4])
      machine.write(0x5000, [5, 6, 7, 8])
    }
    #expect(try memory.read(VirtualAddress(base + 0xffc), count: 8) == [1, 2, 3, 4, 5, 6, 7, 8])
    #expect(try memory.u64(VirtualAddress(base + 0xffc)) == 0x0807_0605_0403_0201)
    #expect(try memory.u16(VirtualAddress(base + 0xfff)) == 0x0504)
    #expect(throws: DumpError.self) { try memory.read(VirtualAddress(base + 0xffc), count: 0x1005) }
  }

  @Test func touchedPagesAreThoseReadAndTheirPageTablesAscendingAndOnce() throws {
    let (memory, _) = try make { machine in
      machine.map(base, 0x9000)
      machine.map(base + 0x1000, 0x5000)
      machine.map(base + 0x2000, 0x6000)
      for page in [0x9000, 0x5000, 0x6000] as [UInt64] { machine.write(page, [1]) }
    }
    #expect(memory.touchedPages.isEmpty)
    let bulk = memory.separate(recording: false)
    _ = try memory.u64(VirtualAddress(base))
    _ = try memory.u64(VirtualAddress(base + 8))
    _ = try memory.u64(VirtualAddress(base + 0x1000))
    _ = try bulk.u64(VirtualAddress(base + 0x2000))
    // The root and the three tables below it lie one after another from 0x1001000.
    #expect(memory.touchedPages.map(\.rawValue) == [5, 9, 0x1001, 0x1002, 0x1003, 0x1004])
    #expect(bulk.touchedPages.isEmpty)
  }

  @Test func pagesAreReadOnceEvenWhenWalkedAgainAndAgain() throws {
    let (memory, source) = try make { machine in
      machine.map(base, 0x9000)
      machine.write(0x9000, [1])
    }
    for offset in 0..<500 as Range<UInt64> { _ = try memory.u64(VirtualAddress(base + offset * 8)) }
    #expect(source.reads.load(ordering: .relaxed) == 5)
  }

  @Test func largeReadsGoToTheSourceInOnePieceAndAreRecorded() throws {
    let (memory, source) = try make { machine in
      machine.map(base, 0x20_0000, leaf: 21)
      for page in 0..<512 as Range<UInt64> { machine.write(0x20_0000 + page << 12, [UInt8(truncatingIfNeeded: page)]) }
    }
    let bytes = try memory.read(VirtualAddress(base + 0x800), count: 0x10_0000)
    #expect(bytes[0x800] == 1 && bytes[0xff800] == 0)
    #expect(source.reads.load(ordering: .relaxed) == 4)
    #expect(memory.touchedPages.map(\.rawValue) == Array(0x200...0x300) + [0x1001, 0x1002, 0x1003])
  }

  @Test func aPageThatEndsEarlyIsReadAsFarAsItGoes() throws {
    let (memory, _) = try make { machine in
      machine.map(base, 0x9000)
      machine.pages[9] = [UInt8](repeating: 7, count: 0x400)
    }
    #expect(try memory.u64(VirtualAddress(base + 0x3f8)) == 0x0707_0707_0707_0707)
    #expect(try memory.read(VirtualAddress(base), count: 0x400).count == 0x400)
    #expect(throws: DumpError.self) { try memory.u64(VirtualAddress(base + 0x400)) }
    #expect(memory.touchedPages.contains(PageFrame(9)))
  }

  @Test func absurdCountsAndTheEndOfTheAddressSpaceAreErrors() throws {
    let (memory, _) = try make { machine in
      machine.map(0xffff_ffff_ffff_f000, 0x9000)
      machine.write(0x9000, [1])
    }
    #expect(throws: DumpError.self) { try memory.read(VirtualAddress(base), count: -1) }
    #expect(throws: DumpError.self) { try memory.read(VirtualAddress(base), count: Int.max) }
    #expect(throws: DumpError.self) { try memory.read(VirtualAddress(.max - 3), count: 8) }
    #expect(throws: DumpError.self) { try memory.u64(VirtualAddress(.max)) }
    #expect(throws: DumpError.self) { try memory.read(physical: PhysicalAddress(.max - 3), count: 8) }
    #expect(throws: DumpError.self) { try memory.read(physical: PhysicalAddress(.max), count: 0x2000) }
    #expect(try memory.read(VirtualAddress(0x1), count: 0).isEmpty)
  }
}
