import CrashedKernel
import DumpBasics
import DumpSource
import TestSupport
import Testing

/// The machine agrees with itself, read back the way a classifier has to read it: by VMCOREINFO and page
/// tables alone.
@Suite struct SyntheticMachineAgreement {
  static let machines: [SyntheticMachineConfiguration] =
    KernelGeneration.allCases.map { .small($0) }
    + SyntheticMachineConfiguration.PageMap.allCases.map { map in
      var configuration = SyntheticMachineConfiguration.small(.v6_12, seed: 7)
      configuration.pageMap = map
      configuration.nodes = 2
      configuration.holeFill = 0
      return configuration
    } + [fourLevels]
    + zip(KernelGeneration.allCases.dropFirst(), SyntheticMachineConfiguration.PageMap.allCases + [.mixed, .smallPages]).map {
      var configuration = SyntheticMachineConfiguration.small($0)
      configuration.architecture = .arm64
      configuration.pageMap = $1
      configuration.nodes = 2
      return configuration
    }

  static var fourLevels: SyntheticMachineConfiguration {
    var configuration = SyntheticMachineConfiguration(.v7_2, memory: 256 << 20, seed: 3)
    configuration.pageTableLevels = 4
    configuration.movableShare = 0
    return configuration
  }

  @Test(arguments: machines) func kernelSeesWhatWasBuilt(_ configuration: SyntheticMachineConfiguration) throws {
    let machine = SyntheticMachine(configuration)
    let kernel = CrashedKernel(machine)
    #expect(kernel.findings.isEmpty)
    #expect(
      kernel.release == "\(configuration.generation).0-synthetic-\(configuration.architecture == .arm64 ? "arm64" : "amd64")")
    #expect(kernel.cpuCount == configuration.cpus)
    let info = try #require(kernel.vmcoreinfo)
    let memory = try #require(kernel.memory)
    #expect(memory.findings.isEmpty)
    for range in machine.dumpedFrames {
      for frame in [range.lowerBound, range.upperBound - 1] {
        // The direct map begins where the first segment after the image says.
        let base = machine.segments[1].virtualAddress - machine.segments[1].physical.start
        #expect(try memory.translate(VirtualAddress(base + frame * 4096)).rawValue == frame * 4096)
      }
    }
    let reader = MachineReader(machine: machine, info: info, memory: memory)
    try reader.checkSections()
    for zone in machine.zones { try reader.checkZone(zone) }
  }

  @Test(arguments: KernelGeneration.allCases) func countsAreThoseOfEveryPage(_ generation: KernelGeneration) {
    let machine = SyntheticMachine(.small(generation))
    var counts: [SyntheticClass: UInt64] = [:]
    for range in machine.dumpedFrames {
      var cursor = range.lowerBound
      machine.forEachRun(in: range) { run in
        #expect(run.frames.lowerBound == cursor)
        cursor = run.frames.upperBound
        counts[run.pageClass, default: 0] += UInt64(run.frames.count)
      }
      #expect(cursor == range.upperBound)
    }
    #expect(counts == machine.classCounts())
    // Nothing that was promised is missing.
    let missing = Set(PageKind.allCases).subtracting(machine.kindCounts().keys)
    let absent: Set<PageKind> = generation.rawValue.hasPrefix("7") || generation == .v6_16 ? [] : [.unaccepted]
    #expect(missing == absent.union([.hole, .reservedHole]))
  }

  @Test func sameConfigurationSameBytes() throws {
    let address = PhysicalAddress(0x200_0000)
    let first = try SyntheticMachine(.small(.v6_12)).bytes(at: address, count: 1 << 16)
    #expect(try SyntheticMachine(.small(.v6_12)).bytes(at: address, count: 1 << 16) == first)
    #expect(try SyntheticMachine(.small(.v6_12, seed: 2)).bytes(at: address, count: 1 << 16) != first)
  }

  @Test func readsCrossPagesAnywhere() throws {
    let machine = SyntheticMachine(.small(.v6_1))
    let whole = try machine.bytes(at: PhysicalAddress(0x100_0000), count: 3 * 4096)
    #expect(try machine.bytes(at: PhysicalAddress(0x100_0ff9), count: 4100) == Array(whole[0xff9..<0xff9 + 4100]))
    #expect(throws: DumpError.self) { try machine.bytes(at: PhysicalAddress(0xa0000), count: 8) }
  }
}
