import CrashedKernel
import DumpBasics
import DumpSource
import Testing

@Suite struct VMCoreInfoTests {
  private func info(_ text: String) -> VMCoreInfo { VMCoreInfo(Array(text.utf8)) }

  @Test func everyKindOfKeyIsReadAndTheLastLineNeedsNoNewline() {
    let info = info(
      """
      OSRELEASE=6.1.0-56-cloud-amd64
      BUILD-ID=3b43fad5034874490492495d552c0af6a5fab235
      PAGESIZE=4096
      SYMBOL(prb)=ffffffffa5a59c80
      OFFSET(page.flags)=0
      SIZE(page)=64
      LENGTH(mem_section)=131072
      NUMBER(phys_base)=-297795584
      NUMBER(kimage_voffset)=0xffff800040000000
      CRASHTIME=1763866267
      """)
    #expect(info.osRelease == "6.1.0-56-cloud-amd64")
    #expect(info.buildID == "3b43fad5034874490492495d552c0af6a5fab235")
    #expect(info.symbol("prb") == VirtualAddress(0xffff_ffff_a5a5_9c80))
    #expect(info.offset("page.flags") == 0)
    #expect(info.size("page") == 64)
    #expect(info.length("mem_section") == 131072)
    #expect(info.number("phys_base") == -297_795_584)
    #expect(info.word("kimage_voffset") == 0xffff_8000_4000_0000)
    #expect(info.crashTime == 1_763_866_267)
    #expect(info.findings.isEmpty)
  }

  @Test(arguments: ["", "-", "+5", "99999999999999999999", "0x", "0xg", " 5", "5 ", "5\u{7f}", "１"])
  func aValueThatIsNoNumberIsNilAndTheErrorNamesTheKey(_ lie: String) {
    let info = info("SYMBOL(x)=\(lie)g\nOFFSET(x)=\(lie)g\nSIZE(x)=0\nNUMBER(x)=\(lie)\nLENGTH(x)=-1\nPAGESIZE=\(lie)")
    #expect(info.symbol("x") == nil)
    #expect(info.offset("x") == nil)
    #expect(info.size("x") == nil)
    #expect(info.length("x") == nil)
    if lie != "+5" {
      let error = #expect(throws: DumpError.self) { try info.requireNumber("x") }
      #expect(error?.description.contains("NUMBER(x)") == true)
    }
    #expect(throws: DumpError.self) { try info.pageSize(.x86_64) }
  }

  @Test func hugeOffsetsAndSizesAreRefusedSoThatSumsCannotOverflow() {
    let info = info(
      "OFFSET(a)=16777216\nOFFSET(b)=16777217\nSIZE(b)=9223372036854775807\nSYMBOL(z)=0\nSYMBOL(n)=-1\nSYMBOL(p)=+1f")
    #expect(info.offset("a") == 1 << 24)
    #expect(info.offset("b") == nil)
    #expect(info.size("b") == nil)
    #expect(info.symbol("z") == nil)
    #expect(info.symbol("n") == nil)
    #expect(info.symbol("p") == nil)
  }

  @Test func ofARepeatedKeyTheFirstCountsAndAContradictionIsReported() {
    let info = info("SIZE(page)=64\nSIZE(page)=64\nSIZE(zone)=1\nSIZE(zone)=2\n")
    #expect(info.size("zone") == 1)
    #expect(info.findings.count == 1)
    #expect(info.findings.first?.what.contains("SIZE(zone)") == true)
  }

  @Test func pageSizeMustBeOneOfTheArchitecture() throws {
    #expect(throws: DumpError.self) { try info("PAGESIZE=65536").pageSize(.x86_64) }
    #expect(try info("PAGESIZE=65536").pageSize(.arm64).bytes == 65536)
    #expect(throws: DumpError.self) { try info("PAGESIZE=0").pageSize(.arm64) }
  }

  @Test func nulsEndLinesAndLinesWithoutKeysAreCounted() {
    let info = VMCoreInfo(Array("A=1\0\0\0B=2\n=3\nrubbish\n\n".utf8))
    #expect(info.keys == ["A", "B"])
    #expect(info.findings.map(\.what) == ["2 lines are no KEY=value"])
  }

  @Test func aMegabyteAndMoreOfRubbishIsBounded() {
    var random = FixedRandom(state: 1)
    let noise = VMCoreInfo((0..<3 << 20).map { _ in UInt8.random(in: 0...255, using: &random) })
    #expect(noise.keys.count <= VMCoreInfo.keyLimit)
    #expect(!noise.findings.isEmpty)
    let many = info((0..<100_000).map { "K\($0)=1" }.joined(separator: "\n"))
    #expect(many.keys.count == VMCoreInfo.keyLimit)
  }

  @Test func itIsFoundAmongOtherNotesAndAnEmptyOneIsPassedOver() {
    let notes = [
      DumpNote(name: "CORE", type: 1, descriptor: Array("A=0".utf8)),
      DumpNote(name: "VMCOREINFO", type: 0, descriptor: [0, 0]),
      DumpNote(name: "VMCOREINFO", type: 0, descriptor: Array("A=1".utf8)),
    ]
    #expect(VMCoreInfo(notes: notes)?.value("A") == "1")
    #expect(VMCoreInfo(notes: Array(notes.prefix(2))) == nil)
  }
}

/// Which VMCOREINFO of several is the kernel's.
@Suite struct VMCoreInfoChoiceTests {
  /// A machine whose own text maps, and the VMCOREINFO of it.
  private func machine() -> (SyntheticMachine, [UInt8]) {
    var machine = SyntheticMachine()
    machine.map(SyntheticMachine.kernelMap, SyntheticMachine.physBase, leaf: 21)
    machine.info.append("SYMBOL(_stext)=ffffffff80000000")
    return (machine, Array((machine.info.joined(separator: "\n") + "\n").utf8))
  }

  @Test func thePoorOneDoesNotWin() {
    var (machine, right) = machine()
    machine.extraNotes = [DumpNote(name: "VMCOREINFO", type: 0, descriptor: right)]
    machine.info = ["OSRELEASE=6.9.9-capture", "PAGESIZE=4096"]
    let kernel = CrashedKernel(machine.source)
    #expect(kernel.release == "6.1.0-test")
    #expect(kernel.findings.contains { $0.what.contains("2 VMCOREINFO notes") })
    // Readers take the first one.
    #expect(kernel.notes.first { $0.isVMCoreInfo }.map { VMCoreInfo($0.descriptor).osRelease } == "6.1.0-test")
  }

  @Test func itIsFoundInMemory() {
    var (machine, right) = machine()
    machine.info = []
    machine.write(0x10_0000, right)
    let range = PhysicalRange(start: 0x10_0000, count: 0x10_0000)
    machine.segments = [range].compactMap { $0 }.map {
      MemorySegment(physical: $0, virtualAddress: 0, flags: 7, fileOffset: 0x1000, fileSize: $0.count)
    }
    let kernel = CrashedKernel(machine.source)
    #expect(kernel.release == "6.1.0-test")
    #expect(kernel.memory != nil)
    #expect(kernel.findings.contains { $0.what.contains("kernel's own copy at 0x100000") })
  }

  @Test func whatAPersonGivesWins() {
    let (machine, _) = machine()
    let kernel = CrashedKernel(machine.source, vmcoreinfo: VMCoreInfo(Array("OSRELEASE=given\nPAGESIZE=4096\n".utf8)))
    #expect(kernel.release == "given")
  }
}
