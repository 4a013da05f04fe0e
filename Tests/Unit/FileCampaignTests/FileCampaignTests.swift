import Capture
import CoreFormat
import DumpBasics
import FileCampaign
import Foundation
import TestSupport
import Testing

/// A machine as /proc/vmcore shows it: the kernel's image by its own mapping first, then memory by address.
private func vmcore() -> SyntheticCore {
  let image = noise(64 * 4096, seed: 3)
  let base: UInt64 = 0x100_0000
  var core = SyntheticCore([
    .init(0x200_0000, virtual: 0xffff_ffff_8100_0000, image),
    .init(0x1000, noise(0x9e000 - 0x1000, seed: 1)),
    .init(0x10_0000, noise(100 * 4096, seed: 5)),
    .init(0x1f0_0000, noise(256 * 4096, seed: 6) + image),
    .init(0x800_0000, noise(64 * 4096, seed: 8)),
  ])
  core.notes[1].descriptor += Array("NUMBER(phys_base)=\(base)\n".utf8)
  core.notes.insert(core.notes[0], at: 1)
  return core
}

/// Some hundred mutations in every run of the tests; `make test-mutations` has the thousands.
@Suite(.serialized) struct FileCampaignTests {
  private func totals(_ make: (Scratch) throws -> String, _ count: Int) throws -> FileTotals {
    let scratch = try Scratch()
    let image = try FileImage(try make(scratch), name: "image")
    let campaign = try FileCampaign(image, directory: scratch.path)
    return try campaign.run(0..<count).values.reduce(into: FileTotals()) { $0.merge($1) }
  }

  @Test func nothingOfASourceIsLostInSilence() throws {
    let found = try totals(
      { scratch in
        try vmcore().write(to: scratch.file("core"))
        return scratch.file("core")
      }, 900)
    #expect(found.violations == [])
    #expect(found.silentLosses == 0)
    // The campaign does something: most of the damage is seen.
    #expect(found.mutations > 800)
    #expect(found.namedWithoutLoss > 200)
  }

  /// Kdump-compressed files have neither checksums nor a second head: docs/formats-of-others.md.
  @Test(arguments: OutputFormat.allCases.filter { $0.rawValue.hasPrefix("elf") })
  func nothingOfADumpOfOursIsLostInSilence(format: OutputFormat) throws {
    let found = try totals(
      { scratch in
        try vmcore().write(to: scratch.file("core"))
        var request = SaveRequest(source: scratch.file("core"), targets: [scratch.file("dump")], level: .all)
        request.format = format
        return try save(request, QuietReporter()).path
      }, 300)
    #expect(found.violations == [])
    #expect(found.silentLosses == 0)
    #expect(found.namedWithoutLoss + found.namedLosses > 50)
  }
}
