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
  let unfinished = out + ".incomplete"
  do throws(DumpError) {
    let index = try BGZFIndex(of: dump, to: unfinished)
    try System.rename(unfinished, out)
    return (out, index.entries)
  } catch {
    try? System.unlink(unfinished)
    throw error
  }
}
