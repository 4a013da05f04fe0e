internal import CaptureInit
internal import Capture
internal import Reading
public import DumpBasics
internal import DumpTarget
internal import LinuxSystem

/// What the service after a boot did.
public struct Announcement: Sendable {
  /// Dumps that were not known before and that the journal could not be told of, a line each.
  public var new: [String] = []
  /// Dumps that `keep=` had removed.
  public var removed: [String] = []
  /// Dumps that got a report.
  public var reported: [String] = []
  public var problems: [String] = []
}

/// Tells the journal of each dump that it was not told of, with fields of its own (docs/install.md), and
/// removes what is too old by `keep=`. Where the journal can't be had, standard output has the lines.
///
/// At the end, dumps without a report get one: whatever becomes of that, the rest is done.
public func announceDumps(_ request: ArmRequest = ArmRequest()) throws(DumpError) -> Announcement {
  let machine = Machine(root: request.root)
  let settings = settings(of: machine)
  let path = "\(request.directory)/announced"
  let known = Set(((try? System.text(of: path)) ?? "").utf8.split(separator: 0x0a).map { String(Substring($0)) })
  var announcement = Announcement()
  var present: [String] = []
  var dumps: [ListedDump] = []
  for directory in dumpDirectories(settings.targets.map(\.word), machine) {
    do throws(DumpError) {
      if settings.keep > 0 { announcement.removed += try removeOldDumps(in: directory, keep: settings.keep) }
      for dump in try listDumps(in: directory) {
        // One that is being written is told of when it is whole, or in the next boot.
        let key = "\(dump.path) \(dump.status)"
        present.append(key)
        dumps.append(dump)
        if known.contains(key) { continue }
        if request.root.isEmpty, (try? journal(dump, request.directory)) != nil { continue }
        announcement.new.append(dump.message)
      }
    } catch { announcement.problems.append(error.description) }
  }
  if Set(present) != known {
    _ = try System.mkdir(request.directory, mode: 0o700)
    try System.replaceFile(path, with: Array(present.reduce("") { $0 + $1 + "\n" }.utf8))
  }
  if settings.report { addReports(dumps, &announcement) }
  return announcement
}

/// Whether /etc/mcore.conf and the kernel's command line want reports beside dumps (`report=`).
public func reportsAreWanted() -> Bool { settings(of: Machine(root: "")).report }

private func settings(of machine: Machine) -> CheckedSettings {
  CheckedSettings(
    file: (try? machine.text(ArmPlan.configurationFile)) ?? "", path: ArmPlan.configurationFile, commandLine: machine.commandLine)
}

/// Reports for the newest dumps that lack one: so many, and for so long. The next boot goes on.
private func addReports(_ dumps: [ListedDump], _ announcement: inout Announcement) {
  let end = System.monotonicNanoseconds + 120 * 1_000_000_000
  for dump in dumps.prefix(64) where System.monotonicNanoseconds < end {
    do throws(DumpError) {
      if try writeMissingReport(dump) { announcement.reported.append(dump.path) }
    } catch { announcement.problems.append("no report: \(error)") }
  }
}

/// Directories of the running system that are targets, and are there.
private func dumpDirectories(_ targets: [String], _ machine: Machine) -> [String] {
  var found: [String] = []
  for word in targets {
    guard let spec = try? TargetSpec(word), let place = runningPlace(of: spec, machine), System.kind(of: place) == .directory,
      !found.contains(place)
    else { continue }
    found.append(place)
  }
  return found
}

extension ListedDump {
  fileprivate var message: String {
    "kernel crash: \(printable(reason ?? "no panic message found in the log")); dump \(status): \(printable(path))"
  }

  fileprivate var fields: String {
    let time = time.map { UTCTime(secondsSince1970: $0).text } ?? ""
    return
      "MESSAGE=\(message)\nMESSAGE_ID=6d636f72652d4d0a9b7c1de0d7a8f2c1\nPRIORITY=\(isWhole ? 2 : 1)\nSYSLOG_IDENTIFIER=mcore\n"
      + "MCORE_DUMP=\(printable(path))\nMCORE_STATUS=\(status)\nMCORE_KERNEL=\(printable(release ?? ""))\n"
      + "MCORE_REASON=\(printable(reason ?? ""))\nMCORE_CRASH_TIME=\(time)\nMCORE_BYTES=\(bytes)\n"
  }
}

/// By logger(1) of util-linux, which knows the journal's protocol.
private func journal(_ dump: ListedDump, _ directory: String) throws(DumpError) {
  _ = try System.mkdir(directory, mode: 0o700)
  let file = "\(directory)/announcing"
  defer { try? System.unlink(file) }
  try System.replaceFile(file, with: Array(dump.fields.utf8))
  let result = try System.run(Command("logger", ["--journald=\(file)"], output: .collect), limitSeconds: 20)
  if result.end != .exited(0) { throw DumpError("the journal was not told: \(result.output)", at: dump.path) }
}
