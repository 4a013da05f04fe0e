internal import Capture
internal import CoreEncoding
internal import CrashedKernel
public import DumpBasics
internal import DumpSource
public import KernelReport

/// How `mcore report` says what it knows.
public enum ReportForm: Sendable { case text, json, page }

/// `mcore report`: what crashed, where and why, from the dump alone.
/// `paths` are one dump, or the parts of a set.
public func explain(_ paths: [String], _ form: ReportForm) throws(DumpError) -> String {
  let kernel = CrashedKernel(try openDump(paths))
  switch form {
  case .text: return CrashReport(kernel).text
  case .json: return CrashReport(kernel).json.text() + "\n"
  case .page: return reportPage(kernel, memory: memoryMap(kernel), tool: toolVersion)
  }
}

/// For the small questions: `mcore bt`, `ps`, `sym`, `types`, `show`.
public func queries(_ path: String) throws(DumpError) -> KernelQueries { try KernelQueries(CrashedKernel(try openDump(path))) }
