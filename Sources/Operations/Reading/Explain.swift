internal import CoreEncoding
internal import CrashedKernel
public import DumpBasics
internal import DumpSource
public import KernelReport

/// `mcore report`: what crashed, where and why, from the dump alone.
public func explain(_ path: String, json: Bool) throws(DumpError) -> String { try explain([path], json: json) }

/// The same of one dump, or of the parts of a set.
public func explain(_ paths: [String], json: Bool) throws(DumpError) -> String {
  let report = CrashReport(CrashedKernel(try openDump(paths)))
  return json ? report.json.text() + "\n" : report.text
}

/// For the small questions: `mcore bt`, `ps`, `sym`, `types`, `show`.
public func queries(_ path: String) throws(DumpError) -> KernelQueries { try KernelQueries(CrashedKernel(try openDump(path))) }
