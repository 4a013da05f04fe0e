import CrashedKernel
import DumpBasics
import Testing

@testable import KernelReport

/// VMCOREINFO against the kernel's types.
@Suite struct LayoutTests {
  private func witness(_ lines: [String]) -> LayoutWitness {
    let tiny = TinyKernel()
    return LayoutWitness(CrashedKernel(tiny, vmcoreinfo: VMCoreInfo(Array((tiny.lines + lines).joined(separator: "\n").utf8))))
  }

  @Test func whatBothSayIsCounted() {
    let witness = witness(["OFFSET(list_head.next)=0", "OFFSET(list_head.prev)=8", "SIZE(list_head)=16", "OFFSET(no.such)=3"])
    #expect(witness.agreed == 3)
    #expect(witness.disagreements.isEmpty)
  }

  @Test func aDisagreementNamesTheMemberAndBothValues() {
    let witness = witness(["OFFSET(list_head.next)=8", "SIZE(list_head)=\u{1b}16", "OFFSET(task_struct.comm)=16"])
    #expect(witness.agreed == 1)
    #expect(
      witness.disagreements.map(\.text) == [
        "VMCOREINFO says OFFSET(list_head.next)=8, the kernel's types say 0",
        "VMCOREINFO says SIZE(list_head)=?16, the kernel's types say 16",
      ])
  }

  @Test func whatVMCOREINFOLacksComesFromTheTypes() {
    #expect(
      witness(["OFFSET(list_head.next)=0"]).supplements == ["SIZE(list_head)=16", "OFFSET(list_head.prev)=8"])
  }

  @Test func keysOfOtherFormsAreNotCompared() {
    let witness = witness([
      "OFFSET()=1", "OFFSET(.)=1", "OFFSET(list_head)=1", "SIZE(list_head.next)=1", "NUMBER(x.y)=2", "FOO(list_head)=1",
    ])
    #expect(witness.agreed == 0 && witness.disagreements.isEmpty)
  }

  @Test func withoutTypesNothingIsSaid() {
    let tiny = TinyKernel()
    tiny.put(0x10000, [0, 0])
    #expect(LayoutWitness(CrashedKernel(tiny)) == LayoutWitness(nil))
  }

  @Test func theReportNamesADisagreement() {
    let tiny = TinyKernel()
    let info = VMCoreInfo(Array((tiny.lines + ["OFFSET(list_head.next)=8"]).joined(separator: "\n").utf8))
    let content = ReportContent(CrashedKernel(tiny, vmcoreinfo: info)) { false }
    #expect(content.notes.contains("VMCOREINFO says OFFSET(list_head.next)=8, the kernel's types say 0"))
  }
}
