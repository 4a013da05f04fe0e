import CrashedKernel
import DumpBasics
import DumpSource
import Foundation
import PageClasses
import TestSupport
import Testing

@testable import MutationCampaign

/// A few hundred mutations in every run of the tests; `make test-mutations` has the thousands.
@Suite struct CampaignTests {
  static let machines =
    SyntheticMachine.campaign(seed: 7, memory: 256 << 20) + SyntheticMachine.campaign(.arm64, seed: 7, memory: 256 << 20)
  /// For each of 11 machines of x86_64 and 10 of arm64.
  static let perMachine = 20

  @Test func nothingInUseIsLostInSilence() throws {
    var totals = CampaignTotals()
    var campaign = Campaign()
    campaign.writeEvery = 20
    campaign.directory = NSTemporaryDirectory()
    for machine in CampaignTests.machines {
      let image = try CampaignImage(machine, name: machine.name, seed: 7)
      totals.merge(campaign.run(image, 0..<CampaignTests.perMachine))
    }
    #expect(totals.violations.isEmpty, "\(totals.violations.joined(separator: "\n"))")
    #expect(totals.silentLosses == 0)
    #expect(totals.mutations == CampaignTests.perMachine * CampaignTests.machines.count)
    #expect(totals.dumpsWritten == CampaignTests.machines.count)
    // It does damage, and is seen to.
    #expect(totals.fired.count >= 10, "\(totals.fired)")
    #expect(peakMemory() < 1 << 30)
  }

  /// The undamaged machine is no judge of its own: its classes have to be those that the builder made.
  @Test func theUndamagedMachineLeavesOutNothingInUse() throws {
    for machine in CampaignTests.machines {
      let image = try CampaignImage(machine, name: machine.name, seed: 1)
      for run in image.classes.runs where run.pageClass != .kernel {
        for frame in run.range where machine.trueClass(PageFrame(frame)) == .kernel {
          Issue.record("pfn \(hex(frame)) of \(machine.name) is the kernel's")
        }
      }
    }
  }

  /// arm64's VMCOREINFO leads to no node: kallsyms does, and free pages have their second witness.
  @Test func theNodesAreFoundByKallsyms() throws {
    for machine in SyntheticMachine.campaign(.arm64, seed: 3, memory: 256 << 20) {
      #expect(!machine.vmcoreinfo.contains("node_data"))
      let (_, classes) = CampaignImage.classify(machine)
      #expect(classes.unconfirmedFreePages == 0)
      #expect(classes.counts[.free] > 1000)
      #expect(classes.checks.allSatisfy { $0.failed == 0 }, "\(classes.findings)")
    }
  }

  /// Without kallsyms, as before 6.0, there is no way to them: one finding says so, and free pages are kept.
  @Test func withoutNodesFreePagesAreKept() {
    var configuration = SyntheticMachineConfiguration(.v5_10, memory: 256 << 20)
    configuration.architecture = .arm64
    let (_, classes) = CampaignImage.classify(SyntheticMachine(configuration))
    #expect(classes.counts[.free] == 0 && classes.unconfirmedFreePages > 1000)
    #expect(classes.counts[.user] > 1000)
    #expect(classes.findings.count { "\($0)".contains("neither VMCOREINFO nor kallsyms has them") } == 1)
  }

  /// Without vmemmap a map may be said to lie some pages further on, among structures of the same section.
  @Test func aMapThatIsMovedWithinItsSectionIsRefused() throws {
    var configuration = SyntheticMachineConfiguration(.v6_12, memory: 384 << 20, lowMemory: 192 << 20)
    configuration.pageMap = .separate
    for architecture in [Architecture.x86_64, .arm64] {
      configuration.architecture = architecture
      configuration.pageTableLevels = 4
      let machine = SyntheticMachine(configuration)
      let root = try #require(machine.vmcoreinfo.firstMatch(of: /SYMBOL\(mem_section\)=([0-9a-f]+)/)?.1)
      let memory = try #require(CrashedKernel(machine).memory)
      let table = try memory.u64(VirtualAddress(try #require(UInt64(root, radix: 16))))
      for distance in [1 << 17, -(1 << 17)] {
        let entry = VirtualAddress(table + 16)
        let moved = try memory.u64(entry) &+ UInt64(bitPattern: Int64(distance))
        let mutation = Mutation(word: moved, at: try memory.translate(entry))
        let (_, classes) = CampaignImage.classify(MutatedSource(machine, [mutation]))
        #expect(classes[.sectionMap].failed > 0, "\(architecture), \(distance): \(classes.findings)")
        for run in classes.runs where (1 << 15..<1 << 16).contains(run.range.lowerBound) {
          #expect(run.pageClass == .kernel)
        }
      }
    }
  }

  /// Pages that are lost and not covered are found: with a judge that never accuses the campaign would prove
  /// nothing.
  @Test func theJudgeAccuses() throws {
    let machine = CampaignTests.machines[7]
    let image = try CampaignImage(machine, name: machine.name, seed: 1)
    var judgement = Judgement(mutation: Mutation(vmcoreinfo: []))
    let change = ClassChange(range: 100..<110, before: .kernel, after: .user)
    image.compare([change, ClassChange(range: 200..<210, before: .user, after: .free)], [104..<106, 0..<50], &judgement)
    #expect(judgement.lost == 20)
    #expect(judgement.silent == [100..<104, 106..<110, 200..<210])
    // From one class that level kern leaves out to another: none is lost.
    judgement = Judgement(mutation: Mutation(vmcoreinfo: []))
    image.compare([ClassChange(range: 100..<110, before: .user, after: .cache)], [], &judgement)
    #expect(judgement.lost == 0 && judgement.silent.isEmpty)
  }

  @Test func whatWasNeverReadDoesNotCount() throws {
    let machine = CampaignTests.machines[7]
    let image = try CampaignImage(machine, name: machine.name, seed: 1)
    #expect(image.isConsulted("NUMBER(PG_lru)"))
    #expect(!image.isConsulted("CRASHTIME"))
    #expect(!image.isHit(by: Mutation(vmcoreinfo: Array("OSRELEASE=7".utf8))))
    for number in 0..<28 {
      let mutation = try #require(image.draw(number))
      #expect(image.isHit(by: mutation))
    }
  }
}
