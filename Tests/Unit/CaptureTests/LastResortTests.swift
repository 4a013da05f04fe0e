import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import Capture

/// Protects: when no target takes a dump, why that is so is kept with the registers; and only then.
struct LastResortSaveTests {
  private let scratch: Scratch
  private let disk: String
  private let input: String

  init() throws {
    scratch = try Scratch()
    disk = scratch.file("disk")
    try Data(count: 1 << 20).write(to: URL(fileURLWithPath: disk))
    input = scratch.file("vmcore")
    try Data(oddMachine().bytes()).write(to: URL(fileURLWithPath: input))
  }

  private func request(_ targets: [String]) -> SaveRequest {
    var request = SaveRequest(source: input, targets: targets, level: .all)
    request.lastResort = disk
    return request
  }

  @Test func whyEachTargetFailedIsKeptWithTheRegisters() throws {
    let targets = ["/dev/mcore-none:/var/crash", "LABEL=mcore-none:/"]
    #expect(throws: DumpError.self) { try save(request(targets), QuietReporter()) }
    let kept = try lastResort(disk).text
    for target in targets { #expect(kept.contains("failed   \(target): there is no such disk"), "\(kept)") }
    #expect(kept.contains("registers of a CPU, process "))
    #expect(kept.contains(" rip 0"))
    // The word for clearing it is taken at that.
    try clearLastResort(disk)
    #expect(try lastResort(disk).isEmpty)
  }

  @Test func aTargetThatTakesTheDumpLeavesItAlone() throws {
    _ = try save(request(["/dev/mcore-none:/var/crash", scratch.file("out")]), QuietReporter())
    #expect(try lastResort(disk).isEmpty)
  }

  @Test func aDiskThatIsInUseByOthersIsNoReasonToFailOtherwise() throws {
    try Data(repeating: 7, count: 1 << 20).write(to: URL(fileURLWithPath: disk))
    #expect { try save(request(["/dev/mcore-none:/var/crash"]), QuietReporter()) } throws: { "\($0)".contains("no such disk") }
    #expect(try Data(contentsOf: URL(fileURLWithPath: disk)) == Data(repeating: 7, count: 1 << 20))
    #expect { _ = try lastResort(disk) } throws: { "\($0)".contains("no last resort") }
  }
}
