import CrashedKernel
import DumpBasics
import DumpSource
import Testing

@Suite struct TranslationTests {
  private func memory(_ machine: SyntheticMachine) throws -> KernelMemory {
    let source = machine.source
    return try KernelMemory(source, #require(VMCoreInfo(notes: source.notes)), pageSize: machine.pageSize)
  }

  @Test(arguments: [4, 5])
  func leavesOfEverySizeAreFoundWithTheirFlagsMaskedOff(levels: Int) throws {
    var machine = SyntheticMachine(levels: levels)
    machine.map(0xffff_8880_0012_3000, 0x5000)
    machine.map(0xffff_8880_4020_0000, 0x60_0000, leaf: 21)
    machine.map(0xffff_8881_0000_0000, 0x1_4000_0000, leaf: 30)
    let memory = try self.memory(machine)
    #expect(try memory.translate(VirtualAddress(0xffff_8880_0012_3abc)) == PhysicalAddress(0x5abc))
    #expect(try memory.mapping(VirtualAddress(0xffff_8880_403f_fff8)) == MappedMemory(PhysicalAddress(0x7f_fff8), count: 8))
    #expect(
      try memory.mapping(VirtualAddress(0xffff_8881_2345_6789))
        == MappedMemory(PhysicalAddress(0x1_6345_6789), count: 0x4000_0000 - 0x2345_6789))
    // The same index bits below other upper bits: no address of this kernel.
    #expect(throws: DumpError.self) { try memory.translate(VirtualAddress(0x1234_8880_0012_3abc)) }
    // Page tables are seen at 512 GiB and more apart: the upper levels count.
    #expect(throws: DumpError.self) { try memory.translate(VirtualAddress(0xffff_8900_0012_3000)) }
  }

  @Test func fiveLevelsReachBeyondFour() throws {
    var machine = SyntheticMachine(levels: 5)
    machine.map(0xff11_0000_0000_0000, 0x5000)
    #expect(try memory(machine).translate(VirtualAddress(0xff11_0000_0000_0010)) == PhysicalAddress(0x5010))
    #expect(throws: DumpError.self) { try memory(SyntheticMachine()).translate(VirtualAddress(0xff11_0000_0000_0010)) }
  }

  @Test func theMemoryEncryptionBitIsNoAddress() throws {
    var machine = SyntheticMachine()
    machine.map(0xffff_8880_0000_0000, 0x5000 | 1 << 47)
    machine.info.append("NUMBER(sme_mask)=140737488355328")
    #expect(try memory(machine).translate(VirtualAddress(0xffff_8880_0000_0008)) == PhysicalAddress(0x5008))
  }

  @Test func tablesThatPointAtThemselvesEndAfterTheLastLevel() throws {
    var machine = SyntheticMachine()
    for slot in 0..<512 as Range<UInt64> { machine.write(0x100_1000 + slot * 8, u64: 0x100_1063) }
    #expect(try memory(machine).translate(VirtualAddress(0xffff_8880_0000_0008)) == PhysicalAddress(0x100_1008))
  }

  @Test func absentEntriesAndAbsentTablesAreErrorsThatNameTheAddress() throws {
    var machine = SyntheticMachine()
    machine.write(0x100_1000 + 273 * 8, u64: 0x7_0000_0063)
    let memory = try self.memory(machine)
    let unmapped = #expect(throws: DumpError.self) { try memory.translate(VirtualAddress(0xffff_ffff_8000_0000)) }
    #expect(unmapped?.description.contains("0xffffffff80000000") == true)
    #expect(throws: DumpError.self) { try memory.translate(VirtualAddress(0xffff_8880_0000_0000)) }
    #expect(throws: DumpError.self) { try memory.translate(VirtualAddress(0x1234_5678_9abc_def0)) }
    // Nothing that could not be read counts as touched; the root was read.
    #expect(memory.touchedPages == [PageFrame(0x1001)])
  }

  @Test(arguments: [
    ["SYMBOL(init_top_pgt)=ffffffff80001000"], ["SYMBOL(init_top_pgt)=1000", "NUMBER(phys_base)=0"],
    ["SYMBOL(init_top_pgt)=ffffffff80001000", "NUMBER(phys_base)=9223372036854775807"],
    ["SYMBOL(init_top_pgt)=ffffffff80001000", "NUMBER(phys_base)=-9223372036854775808"],
    ["SYMBOL(init_top_pgt)=ffffffff80001001", "NUMBER(phys_base)=0"], ["X=1"],
  ])
  func withoutPageTablesTheProgramHeadersAreUsedAndThatIsReported(lines: [String]) throws {
    var machine = SyntheticMachine()
    machine.info = lines
    #expect(throws: DumpError.self) { try self.memory(machine) }
    machine.write(0x5000, [1, 2, 3, 4, 5, 6, 7, 8])
    machine.segments = [
      MemorySegment(
        physical: PhysicalRange(0x4800, 0x6000)!, virtualAddress: 0xffff_8880_0000_4800, flags: 7, fileOffset: 0,
        fileSize: 0x1800)
    ]
    let memory = try self.memory(machine)
    #expect(try memory.read(VirtualAddress(0xffff_8880_0000_5001), count: 3) == [2, 3, 4])
    #expect(try memory.translate(VirtualAddress(0xffff_8880_0000_4810)) == PhysicalAddress(0x4810))
    #expect(throws: DumpError.self) { try memory.translate(VirtualAddress(0xffff_8880_0000_4000)) }
    #expect(throws: DumpError.self) { try memory.translate(VirtualAddress(0xffff_8880_0000_6000)) }
    #expect(memory.findings.count == 1)
  }

  @Test func pageTablesThatDoNotMapTheKernelAreNotBelieved() throws {
    var machine = SyntheticMachine()
    machine.info.append("SYMBOL(_stext)=ffffffff81000000")
    #expect(throws: DumpError.self) { try memory(machine) }
    machine.map(0xffff_ffff_8100_0000, 0x200_0000, leaf: 21)
    #expect(try memory(machine).findings.isEmpty)
  }

  // MARK: The walk through all tables

  /// What a walk finds: mappings by address, and how many tables.
  private func walked(_ memory: KernelMemory, isDirect: (UInt64, UInt64) -> Bool = { _, _ in false }) throws
    -> ([UInt64: PhysicalRange], Int)
  {
    var mappings: [UInt64: PhysicalRange] = [:]
    var tables = 0
    var walk = try #require(memory.pageTableWalk)
    walk.run(isDirect: isDirect) { found in
      switch found {
      case .table: tables += 1
      case .memory(let range, let address, _): mappings[address] = range
      }
      return true
    }
    return (mappings, tables)
  }

  @Test(arguments: [4, 5])
  func aWalkFindsWhatTranslationFinds(levels: Int) throws {
    var machine = SyntheticMachine(levels: levels)
    machine.map(0xffff_8880_0012_3000, 0x5000)
    machine.map(0xffff_8880_4020_0000, 0x60_0000, leaf: 21)
    machine.map(0xffff_8881_0000_0000, 0x1_4000_0000, leaf: 30)
    machine.map(0xffff_c900_0000_1000, 0x7000)
    // A process's own half is none of the kernel's.
    machine.map(0x0000_0000_0040_0000, 0x9000)
    let memory = try self.memory(machine)
    let (mappings, tables) = try walked(memory)
    #expect(mappings[0xffff_8880_0012_3000] == PhysicalRange(start: 0x5000, count: 4096))
    #expect(mappings[0xffff_8880_4020_0000] == PhysicalRange(start: 0x60_0000, count: 2 << 20))
    #expect(mappings[0xffff_8881_0000_0000] == PhysicalRange(start: 0x1_4000_0000, count: 1 << 30))
    #expect(mappings[0xffff_c900_0000_1000] == PhysicalRange(start: 0x7000, count: 4096))
    #expect(mappings[0x40_0000] == nil)
    for (address, range) in mappings {
      #expect(try memory.mapping(VirtualAddress(address)) == MappedMemory(PhysicalAddress(range.start), count: range.count))
    }
    // Of the direct map the lowest tables are counted, not read.
    let isDirect: (UInt64, UInt64) -> Bool = { address, bytes in address >> 39 == 0xffff_8880_0000_0000 >> 39 && bytes <= 1 << 39
    }
    let (fewer, sameTables) = try walked(memory, isDirect: isDirect)
    #expect(fewer[0xffff_8880_0012_3000] == nil)
    #expect(fewer[0xffff_c900_0000_1000] == PhysicalRange(start: 0x7000, count: 4096))
    #expect(sameTables == tables)
  }

  @Test(arguments: [48, 52]) func aWalkOnArm64FindsBlocksAndPages(built: Int) throws {
    var machine = SyntheticMachine(arm64: .little, built: built)
    machine.map(0xffff_8000_8001_0000, 0x4001_0000)
    machine.map(0xffff_0000_2000_0000, 0x6000_0000, leaf: 29)
    let memory = try self.memory(machine)
    let mappings = try walked(memory).0
    #expect(mappings[0xffff_8000_8001_0000] == PhysicalRange(start: 0x4001_0000, count: 1 << 16))
    #expect(mappings[0xffff_0000_2000_0000] == PhysicalRange(start: 0x6000_0000, count: 1 << 29))
  }

  // MARK: arm64

  @Test(arguments: [ByteOrder.little, .big], [48, 52])
  func arm64With64KiBPagesInBothByteOrders(order: ByteOrder, built: Int) throws {
    var machine = SyntheticMachine(arm64: order, built: built)
    machine.map(0xffff_8000_8001_0000, 0x4001_0000)
    machine.map(0xffff_0000_2000_0000, 0x6000_0000, leaf: 29)
    // Bits 12 to 15 of an entry are bits 48 to 51 of the address.
    machine.map(0xffff_0000_8000_0000, 0x9_0000 | 0xa000)
    machine.write(0x4001_0010, u64: 0x1122_3344_5566_7788)
    let memory = try self.memory(machine)
    #expect(try memory.u64(VirtualAddress(0xffff_8000_8001_0010)) == 0x1122_3344_5566_7788)
    #expect(try memory.u32(VirtualAddress(0xffff_8000_8001_0010)) == (order == .little ? 0x5566_7788 : 0x1122_3344))
    #expect(
      try memory.mapping(VirtualAddress(0xffff_0000_3fff_0001))
        == MappedMemory(PhysicalAddress(0x7fff_0001), count: 0xffff))
    #expect(try memory.translate(VirtualAddress(0xffff_0000_8000_0004)) == PhysicalAddress(0x000a_0000_0009_0004))
    #expect(throws: DumpError.self) { try memory.translate(VirtualAddress(0x0000_8000_8001_0010)) }
    #expect(throws: DumpError.self) { try memory.translate(VirtualAddress(0xffff_8000_c001_0010)) }
  }

  @Test(arguments: [
    "NUMBER(VA_BITS)=52", "NUMBER(VA_BITS)=9223372036854775807", "NUMBER(VA_BITS)=48\nNUMBER(TCR_EL1_T1SZ)=-9223372036854775808",
    "NUMBER(VA_BITS)=39\nNUMBER(TCR_EL1_T1SZ)=16", "X=1",
  ])
  func arm64LiesAboutAddressSizesAreErrors(lines: String) {
    var machine = SyntheticMachine(arm64: .little)
    machine.info = ["SYMBOL(swapper_pg_dir)=ffff800080000000", "NUMBER(kimage_voffset)=0xffff800040000000", lines]
    #expect(throws: DumpError.self) { try memory(machine) }
  }
}
