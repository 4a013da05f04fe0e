package import CoreEncoding
public import CrashedKernel
internal import DumpBasics

/// Somebody who knows more of a crashed kernel than VMCOREINFO says: its names, types and stacks.
///
/// Programs pass one in: this module does not know how a report is made.
public protocol KernelWitness: Sendable {
  /// Ends within a time of its own, and never fails: what is not known is left out.
  func explain(_ kernel: CrashedKernel) -> Explanation
}

/// What a witness says.
public struct Explanation: Sendable {
  /// What is the same for the same bug on other machines and kernels (docs/report.md).
  public struct Signature: Sendable {
    public var hash: String
    public var kind: String
    public var frames: [String]

    public init(hash: String, kind: String, frames: [String]) {
      self.hash = hash
      self.kind = kind
      self.frames = frames
    }
  }

  public var signature: Signature?
  /// Where VMCOREINFO and the kernel's types contradict each other, a line each.
  public var findings: [String] = []
  /// How many of VMCOREINFO's places the types confirm.
  public var agreed = 0
  /// Lines `KEY=value` that VMCOREINFO lacks and the types give.
  public var supplements: [String] = []
  /// Files for the dump's directory: `report.txt`, `report.json`.
  public var files: [(name: String, bytes: [UInt8])] = []

  public init() {}

  /// Members of `dump.json` and `info --json` (docs/manifest.md).
  package var members: [(String, JSON)] {
    [
      ("signature", signature?.json ?? .null),
      (
        "types",
        .object([
          ("agree", .number(Int64(agreed))), ("disagree", .array(findings.map(JSON.string))),
          ("supplied", .array(supplements.map(JSON.string))),
        ])
      ),
    ]
  }

  /// What `mcore info` prints of the types.
  var lines: [(String, String)] {
    var lines: [(String, String)] = []
    if agreed > 0 { lines.append(("types", "\(agreed) of VMCOREINFO's places and numbers are confirmed by the kernel's types")) }
    for line in supplements { lines.append(("by types", "\(line), which VMCOREINFO lacks")) }
    return lines
  }
}

extension Explanation.Signature {
  package var json: JSON {
    .object([("hash", .string(hash)), ("kind", .string(kind)), ("frames", .array(frames.map(JSON.string)))])
  }

  var text: String { "\(hash) (\(([kind] + frames).joined(separator: " ")))" }
}

extension CrashedKernel {
  /// The same kernel, by a VMCOREINFO with more lines. Without any it is itself.
  func supplemented(by lines: [String]) -> CrashedKernel {
    guard let info = vmcoreinfo, !lines.isEmpty else { return self }
    let more = Array("\n\(lines.joined(separator: "\n"))\n".utf8)
    return CrashedKernel(source, vmcoreinfo: VMCoreInfo(info.text + more))
  }
}
