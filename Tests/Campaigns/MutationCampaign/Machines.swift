import Foundation
public import TestSupport

extension SyntheticMachine {
  /// Small machines for a campaign: every layout generation, every way to lay out the page map, one node and
  /// two.
  public static func campaign(seed: UInt64, memory: UInt64 = 384 << 20) -> [SyntheticMachine] {
    KernelGeneration.allCases.enumerated().map { index, generation in
      var configuration = SyntheticMachineConfiguration(
        generation, memory: memory, lowMemory: memory / 2, seed: seed &+ UInt64(index))
      configuration.pageMap = SyntheticMachineConfiguration.PageMap.allCases[index % 4]
      configuration.nodes = 1 + index % 2
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
