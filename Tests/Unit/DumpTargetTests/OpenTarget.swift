import DumpBasics
import DumpTarget

/// Opens a TARGET word for one dump. `dumpName` is the name of the dump directory, where there is one.
func openTarget(_ word: String, dumpName: String) throws(DumpError) -> any Destination {
  try TargetSpec(word).open(NamedDump(dumpName))
}
