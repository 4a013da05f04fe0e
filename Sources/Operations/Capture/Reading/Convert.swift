public import CoreFormat
public import DumpBasics
internal import LinuxSystem

/// `mcore convert`: the same dump in another format, with everything it says of itself. OUT is a plain file
/// or `-`.
///
/// A page that was unreadable becomes a gap. Converting back gives the same bytes as long as nothing was
/// unreadable.
public func convert(
  _ dump: String, to out: String, format: OutputFormat, threads: Int, vmcoreInfo: String? = nil, _ reporter: any Reporter
) throws(DumpError) -> SaveResult {
  if System.kind(of: out) == .directory {
    throw DumpError(.usage, "OUT is a directory", at: out, advice: "convert writes one plain file: give its name")
  }
  var request = SaveRequest(source: dump, targets: [out], level: .all)
  request.format = format
  request.threads = threads
  request.vmcoreInfo = vmcoreInfo
  return try save(request, reporter)
}
