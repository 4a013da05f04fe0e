import CrashedKernel
import DumpBasics
import PageClasses
import TestSupport
import Testing
import Workers

/// hugetlb pages of 1 GiB, each in eight sections. With "hugetlb_free_vmemmap" the later sections have no
/// page map of their own: a page of the first one's is mapped in its place, 512 times. Seen in real dumps
/// (Tests/Kernels/guest/variety.py).
@Suite struct GiganticPageTests {
  typealias Map = SyntheticMachineConfiguration.GiganticMap
  static let machines: [(KernelGeneration, Map)] =
    KernelGeneration.allCases.map { ($0, .whole) } + [
      // 5.14 to 5.17 have the layout of 6.1.
      (.v6_1, .tailsAgain), (.v6_1, .headAgain), (.v6_3, .headAgain), (.v6_6, .headAgain), (.v6_9, .headAgain),
      (.v6_12, .headAgain), (.v6_16, .headAgain), (.v7_1, .tailsAgain), (.v7_2, .tailsAgain),
    ]

  @Test(arguments: machines) func everySectionOfThemIsUserMemory(_ generation: KernelGeneration, _ map: Map) throws {
    var configuration = SyntheticMachineConfiguration(generation, memory: 2816 << 20, lowMemory: 256 << 20, seed: 5)
    configuration.movableShare = 0
    configuration.giganticPages = 2
    configuration.giganticMap = map
    let machine = SyntheticMachine(configuration)
    // From 4 GiB on, one behind the other.
    let frames: Range<UInt64> = 1 << 20..<(1 << 20) + 2 << 18
    for frame in [frames.lowerBound, frames.upperBound - 1] { #expect(machine.page(PageFrame(frame))?.order == 18) }

    let result = PageClassification(CrashedKernel(machine), work: OrderedWork(threads: 2))
    let users = result.runs.reduce(0) { $0 + ($1.pageClass == .user ? $1.range.clamped(to: frames).count : 0) }
    #expect(users == frames.count)
    #expect(result.checks.allSatisfy { $0.failed == 0 || $0.check == .offlinePages }, "\(result.findings)")
    #expect(result.findings.allSatisfy { $0.what.contains("broken hardware") }, "\(result.findings)")
    #expect(result.counts[.free] == machine.classCounts()[.free])
  }
}
