public import DumpBasics
internal import DumpSource
internal import LinuxSystem

/// `mcore index`: writes the index of a BGZF dump in bgzip's form; nil: beside it, as bgzip calls it. Returns
/// its path and its entries.
public func indexDump(_ dump: String, to out: String?) throws(DumpError) -> (path: String, entries: UInt64) {
  if out == nil, dump == "-" || System.isPipe(dump) {
    throw DumpError(
      .usage, "an index lies beside its dump, and this one comes through a pipe", at: dump, advice: "name the index: -o FILE.gzi")
  }
  let out = if let out { out } else { try dumpFile(dump) + ".gzi" }
  if out == "-" {
    throw DumpError(.usage, "an index is a file, and not for standard output", advice: "name the index: -o FILE.gzi")
  }
  let isThere = DumpError(.usage, "the file exists already", at: out, advice: "name another one, or remove it first")
  if System.kind(of: out) != nil { throw isThere }
  let unfinished = out + ".incomplete"
  do throws(DumpError) {
    let index = try BGZFIndex(of: dump, to: unfinished)
    guard try System.renameNew(unfinished, out) else { throw isThere }
    return (out, index.entries)
  } catch {
    try? System.unlink(unfinished)
    throw error
  }
}
