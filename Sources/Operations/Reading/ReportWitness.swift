public import Capture
internal import CoreEncoding
public import CrashedKernel
internal import DumpBasics
internal import KernelReport
internal import LinuxSystem

/// What the full program says of a crashed kernel: signature, types against VMCOREINFO, the report's files.
public struct ReportWitness: KernelWitness {
  /// Names of the files that a report is.
  public static let fileNames = ["report.txt", "report.json"]
  /// A report of a real dump takes a second or two; one of a damaged dump must not hold up the others.
  public static let secondsLimit: UInt64 = 30
  /// Stacks of CPUs, and as many of tasks that wait: bounds the memory to some 10 MiB.
  private static let stackLimit = 128

  private let writesFiles: Bool
  private let seconds: UInt64

  /// - Parameters:
  ///   - writesFiles: whether the report itself is wanted, as `report.txt` and `report.json`.
  ///   - seconds: after so long it ends with what it has.
  public init(writesFiles: Bool = false, seconds: UInt64 = ReportWitness.secondsLimit) {
    (self.writesFiles, self.seconds) = (writesFiles, seconds)
  }

  public func explain(_ kernel: CrashedKernel) -> Explanation {
    let end = clampedSum(System.monotonicNanoseconds, clampedProduct(seconds, 1_000_000_000))
    let report = CrashReport(kernel, stackLimit: ReportWitness.stackLimit) { System.monotonicNanoseconds >= end }
    var explanation = Explanation()
    explanation.signature = report.signature.map { Explanation.Signature(hash: $0.hash, kind: $0.kind, frames: $0.frames) }
    explanation.agreed = report.layout.agreed
    explanation.findings = report.layout.disagreements.map(\.text)
    explanation.supplements = report.layout.supplements
    if writesFiles {
      explanation.files = [
        ("report.txt", Array(report.text.utf8)), ("report.json", Array((report.json.text() + "\n").utf8)),
      ]
    }
    return explanation
  }
}
