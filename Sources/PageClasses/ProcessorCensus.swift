public import CrashedKernel
public import DumpBasics
internal import DumpSource

/// Which CPUs left their registers, and which should have.
public struct ProcessorCensus: Sendable {
  /// NT_PRSTATUS notes in the dump.
  public let present: Int
  /// CPUs that were online; nil when the kernel can't be asked.
  public let online: [Int]?
  /// CPUs that were online and left no registers.
  public let missing: [Int]
  public let findings: [DumpError]
  /// Whether there was anything to check against.
  public var isChecked: Bool { online != nil }

  public init(_ kernel: CrashedKernel) {
    present = kernel.cpuCount
    online = nil
    missing = []
    findings = []
  }
}
