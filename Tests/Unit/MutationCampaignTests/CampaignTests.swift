import DumpBasics
import DumpSource
import Foundation
import PageClasses
import TestSupport
import Testing

@testable import MutationCampaign

/// A few hundred mutations in every run of the tests; `make test-mutations` has the thousands.
@Suite struct CampaignTests {
  static let machines = SyntheticMachine.campaign(seed: 7, memory: 256 << 20)
  /// For each of 11 machines.
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
