package import Capture
package import CrashedKernel
internal import DumpBasics
internal import DumpSource
internal import LinuxSystem
internal import Reading

/// The report of a crash, made by a process of its own: whatever is wrong with what it reads, it can cost its
/// time limit, its memory and itself, and never the dump.
package struct ReportChild: KernelWitness {
  /// The first argument of that process. Not for people.
  static let word = "--report"
  /// Seconds after which the report ends with what it has.
  private static let seconds: UInt64 = 10
  /// Seconds after which the process is ended.
  private static let limitSeconds: UInt64 = 20
  /// Beside the files: what else it found out.
  private static let answer = "answer"

  package init() {}

  // MARK: the process that saves

  package func explain(_ kernel: CrashedKernel) -> Explanation {
    let directory = "\(System.kind(of: "/run") == .directory ? "/run" : "/tmp")/mcore-report-\(System.processID)"
    var explanation = Explanation()
    Activity.step()
    do throws(DumpError) {
      for path in [parentDirectory(of: directory), directory] { _ = try System.mkdir(path, mode: 0o700) }
      defer { ReportChild.remove(directory) }
      let result = try System.run(
        Command("/proc/self/exe", [ReportChild.word, kernel.source.name, directory]), limitSeconds: ReportChild.limitSeconds)
      guard result.end == .exited(0) else { throw DumpError(ReportChild.text(result.end)) }
      explanation = try ReportChild.explanation(in: directory)
    } catch { explanation.files = [("report.txt", Array("There is no report: \(error)\n".utf8))] }
    Activity.step()
    return explanation
  }

  private static func text(_ end: ProcessEnd) -> String {
    switch end {
    case .exited: "what was to make it failed"
    case .killed(let signal): "what was to make it was ended by signal \(signal)"
    case .timedOut: "it was not made within \(limitSeconds) s"
    }
  }

  private static func explanation(in directory: String) throws(DumpError) -> Explanation {
    var explanation = Explanation()
    var signature = Explanation.Signature(hash: "", kind: "", frames: [])
    for line in try System.text(of: "\(directory)/\(answer)").utf8.split(separator: 0x0a) {
      guard let equals = line.firstIndex(of: 0x3d) else { continue }
      let value = String(Substring(line[equals...].dropFirst()))
      switch String(Substring(line[..<equals])) {
      case "agreed": explanation.agreed = Int(value) ?? 0
      case "finding": explanation.findings.append(value)
      case "supplement": explanation.supplements.append(value)
      case "hash": signature.hash = value
      case "kind": signature.kind = value
      case "frame": signature.frames.append(value)
      default: break
      }
    }
    if !signature.hash.isEmpty { explanation.signature = signature }
    for name in ReportWitness.fileNames {
      explanation.files.append((name, try File("\(directory)/\(name)", .read).contents(limit: 16 << 20)))
    }
    return explanation
  }

  private static func remove(_ directory: String) {
    for name in (try? System.names(in: directory)) ?? [] { try? System.unlink("\(directory)/\(name)") }
    try? System.rmdir(directory)
  }

  // MARK: the process itself

  /// `arguments`: the dump, and a directory for what is found out.
  static func run(_ arguments: [String]) -> Int32 {
    guard arguments.count == 2 else { return 2 }
    do throws(DumpError) {
      let kernel = CrashedKernel(try openDump(arguments[0]))
      let explanation = ReportWitness(writesFiles: true, seconds: seconds).explain(kernel)
      for file in explanation.files { try System.replaceFile("\(arguments[1])/\(file.name)", with: file.bytes) }
      var lines = ["agreed=\(explanation.agreed)"]
      lines +=
        explanation.findings.map { "finding=\(printable($0))" } + explanation.supplements.map { "supplement=\(printable($0))" }
      if let signature = explanation.signature {
        lines += ["hash=\(signature.hash)", "kind=\(printable(signature.kind))"]
        lines += signature.frames.map { "frame=\(printable($0))" }
      }
      try System.replaceFile("\(arguments[1])/\(answer)", with: Array(lines.joined(separator: "\n").utf8))
      return 0
    } catch { return 1 }
  }
}
