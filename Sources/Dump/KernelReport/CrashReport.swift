public import CoreEncoding
public import CrashedKernel
internal import DumpBasics

/// What crashed, where and why, from the dump alone: names (kallsyms), types (BTF) and unwind tables (ORC)
/// are all in it.
///
/// Never fails: what can't be had is a line in the report.
public struct CrashReport: Sendable {
  /// One page for a person, each line with its newline.
  public let text: String
  /// The same for programs (docs/report.md).
  public let json: JSON
  /// What is the same for the same bug on other machines.
  public let signature: Signature?
  /// What the kernel's types say of VMCOREINFO.
  public let layout: LayoutWitness

  /// `isOver` is asked now and then: once it says true, the report ends with what there is. Tables are read
  /// in pieces; in all it takes some 3 MiB, and about 20 KiB for each stack: of `stackLimit` CPUs at most,
  /// and of as many waiting tasks.
  public init(_ kernel: CrashedKernel, stackLimit: Int = 256, isOver: @escaping () -> Bool = { false }) {
    let content = ReportContent(kernel, stackLimit: stackLimit, isOver: isOver)
    text = content.lines.joined(separator: "\n") + "\n"
    json = content.json
    signature = content.signature
    layout = content.layout
  }
}
