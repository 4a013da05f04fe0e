public import CoreFormat
public import DumpBasics
internal import DumpSource
internal import LinuxSystem
public import PageSelection

/// `mcore convert`: the same dump in another format, with everything it says of itself. OUT is a plain file
/// or `-`.
///
/// A page that was unreadable becomes a gap. Converting back gives the same bytes as long as nothing was
/// unreadable. `dumps` are one dump, or the parts of a set. With another `level` than `all` pages are left
/// out.
public func convert(
  _ dumps: [String], to out: String, format: OutputFormat, level: Level = .all, speed: Speed = .balanced, threads: Int,
  vmcoreInfo: String? = nil, witness: (any KernelWitness)? = nil, _ reporter: any Reporter
) throws(DumpError) -> SaveResult {
  if System.kind(of: out) == .directory {
    throw DumpError(.usage, "OUT is a directory", at: out, advice: "convert writes one plain file: give its name")
  }
  var request = SaveRequest(source: dumps.first ?? "", targets: [out], level: level)
  if level != .all { request.witness = witness }
  request.format = format
  request.speed = speed
  request.threads = threads
  request.vmcoreInfo = vmcoreInfo
  request.check = damagedGroups
  // Who kills it can begin anew, and whoever waits for a disk that hangs can do that.
  request.inAnyOrder = true
  request.transfer.stallSeconds = 0
  return try save(request, from: try openDump(dumps), reporter)
}

public func convert(
  _ dump: String, to out: String, format: OutputFormat, threads: Int, vmcoreInfo: String? = nil, _ reporter: any Reporter
) throws(DumpError) -> SaveResult {
  try convert([dump], to: out, format: format, threads: threads, vmcoreInfo: vmcoreInfo, reporter)
}

/// `mcore repair`: a sound file from a damaged one, in the same format. Headers and notes come from where
/// they are whole; what can't be read becomes a gap, and is named.
public func repair(_ dump: String, to out: String, threads: Int, _ reporter: any Reporter) throws(DumpError) -> SaveResult {
  let name = try openDump(dump).format
  guard let format = OutputFormat(rawValue: name) else {
    throw DumpError(
      .unsupported, "a dump in the format \(name) can't be written", at: dump,
      advice: "mcore convert --format elf.gz writes another one")
  }
  return try convert(dump, to: out, format: format, threads: threads, reporter)
}
