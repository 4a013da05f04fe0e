import CrashedKernel
import DumpBasics
import DumpSource
import Testing

@Suite struct CrashedKernelTests {
  @Test func aDumpWithoutVMCOREINFOIsStillAKernelWithCPUs() {
    var machine = SyntheticMachine()
    machine.info = []
    var status = [UInt8](repeating: 0, count: 336)
    status[32] = 0x39
    status[33] = 0x05
    machine.extraNotes = [
      DumpNote(name: "CORE", type: 1, descriptor: status), DumpNote(name: "CORE", type: 1, descriptor: [1]),
      DumpNote(name: "QEMU", type: 0, descriptor: []),
    ]
    let kernel = CrashedKernel(machine.source)
    #expect(kernel.cpuCount == 2)
    #expect(kernel.currentPIDs == [1337, nil])
    #expect(kernel.release == nil && kernel.crashTime == nil && kernel.memory == nil)
    #expect(kernel.pageSize == .fourKiB)
    #expect(kernel.findings.count == 1)
    #expect(throws: DumpError.self) { try kernel.log() }
  }

  @Test func anAbsurdPageSizeIsReportedAndTheDefaultTaken() {
    var machine = SyntheticMachine()
    machine.info = machine.info.map { $0.hasPrefix("PAGESIZE") ? "PAGESIZE=4095" : $0 }
    let kernel = CrashedKernel(machine.source)
    #expect(kernel.pageSize == .fourKiB)
    #expect(kernel.findings.map(\.what).contains { $0.contains("PAGESIZE=4095") })
    #expect(kernel.memory != nil)
  }

  @Test(arguments: [true, false])
  func withoutOSRELEASETheReleaseComesFromMemory(keyed: Bool) {
    var machine = SyntheticMachine()
    machine.info.removeAll { $0.hasPrefix("OSRELEASE") }
    machine.map(0xffff_ffff_8200_0000, 0x300_0000, leaf: 21)
    machine.info += ["SYMBOL(init_uts_ns)=ffffffff82000ff0"] + (keyed ? ["OFFSET(uts_namespace.name)=0"] : [])
    let name: UInt64 = 0x300_0ff0 + (keyed ? 0 : 4)
    machine.write(name, [UInt8](repeating: 0, count: 390))
    machine.write(name, Array("Linux".utf8))
    machine.write(name + 130, Array("5.10.0-test".utf8))
    #expect(CrashedKernel(machine.source).release == "5.10.0-test")
    machine.write(name, Array("Minix".utf8))
    #expect(CrashedKernel(machine.source).release == nil)
  }

  @Test func withoutAWayToMemoryTheLogsErrorNamesTheKey() {
    var ring = SyntheticRing()
    ring.machine.info.removeAll { $0.hasPrefix("SYMBOL(init_top_pgt)") }
    let kernel = CrashedKernel(ring.machine.source)
    #expect(kernel.memory == nil)
    #expect(kernel.findings.first?.description.contains("SYMBOL(init_top_pgt)") == true)
    let error = #expect(throws: DumpError.self) { try kernel.log() }
    #expect(error?.description.contains("SYMBOL(init_top_pgt)") == true)
  }
}
