public import DumpBasics
import Foundation
public import TestSupport

extension SyntheticMachine {
  /// Small machines for a campaign: every layout generation, every way to lay out the page map, one node and
  /// two. arm64 has no way to the nodes before 6.0, so that all its free pages are kept there.
  public static func campaign(_ architecture: Architecture = .x86_64, seed: UInt64, memory: UInt64 = 384 << 20)
    -> [SyntheticMachine]
  {
    KernelGeneration.allCases.enumerated().filter { architecture == .x86_64 || $1 != .v5_10 }.map { index, generation in
      var configuration = SyntheticMachineConfiguration(
        generation, memory: memory, lowMemory: memory / 2, seed: seed &+ UInt64(index))
      configuration.pageMap = SyntheticMachineConfiguration.PageMap.allCases[index % 4]
      configuration.nodes = 1 + index % 2
      configuration.architecture = architecture
      return SyntheticMachine(configuration)
    }
  }
}

/// The largest resident set that this process had, in bytes (VmHWM of /proc/self/status).
public func peakMemory() -> UInt64 {
  let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
  let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") } ?? ""
  return (line.split(separator: " ").compactMap { UInt64($0) }.first ?? 0) << 10
}
