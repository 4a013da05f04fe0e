internal import DumpBasics
internal import LinuxSystem
internal import SoftBoot

/// Checks the pattern of a rehearsal, and puts down what came through.
func endRehearsal(_ region: Region, _ path: String, _ reporter: any Reporter) throws(DumpError) {
  guard var record = RehearsalRecord(readFrom: path) else {
    reporter.message("a rehearsal waits in memory; it is checked when \(path) can be read")
    return
  }
  guard record.armed.bootID == region.head.identity.bootID.description else {
    throw DumpError("the rehearsal in memory is not the one that was put down", at: path)
  }
  let outcome = region.check()
  record.lost = outcome.isWhole ? 0 : max(1, record.bytes - min(outcome.good, record.bytes))
  record.checked = System.secondsSince1970
  try record.write(to: path)
  reporter.message(record.description(bootID: ""))
  if region.evidence == .head {
    try region.markSaved()
    try region.wipe()
  }
}
