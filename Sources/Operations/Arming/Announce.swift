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
  /// Dumps that `keep=`, `keep-days=`, `min-free=` had removed.
  public var removed: [String] = []
  /// Dumps that got a report.
  public var reported: [String] = []
  public var problems: [String] = []
}

/// Tells the journal of each dump that it was not told of, with fields of its own (docs/install.md), leaves a
/// line for the next login, and removes what is too old. Where the journal can't be had, standard output has
/// the lines.
///
/// At the end, dumps without a report get one: whatever becomes of that, the rest is done.
public func announceDumps(_ request: ArmRequest = ArmRequest()) throws(DumpError) -> Announcement {
  let machine = Machine(root: request.root)
  let settings = CheckedSettings(machine)
  let path = "\(request.directory)/announced"
  let known = KnownDumps(path)
  var announcement = Announcement()
  var present = KnownDumps()
  var new: [ListedDump] = []
  var dumps: [ListedDump] = []
  let rules = settings.running
  let retention = Retention(
    keep: rules.keep, days: rules.keepDays, minFree: rules.minFree, node: machine.line("/proc/sys/kernel/hostname") ?? "")
  let directories = dumpDirectories(settings.targets.map(\.word), machine)
  for directory in directories {
    do throws(DumpError) {
      for dump in try listDumps(in: directory) {
        // One that is being written is told of when it is whole, or in the next boot.
        let key = "\(dump.path) \(dump.status)"
        present.insert(key)
        dumps.append(dump)
        if known.contains(key) { continue }
        new.append(dump)
        if request.root.isEmpty, (try? journal(dump, request.directory)) != nil { continue }
        announcement.new.append(dump.message)
      }
    } catch { announcement.problems.append(error.description) }
  }
  // Only then: what nobody has heard of yet stays, whatever its crash's clock said.
  let untold = Set(new.map(\.path))
  for directory in directories {
    do throws(DumpError) {
      announcement.removed += try removeOldDumps(in: directory, retention, sparing: untold) {
        announcement.problems.append("a dump that should go stays: \($0)")
      }
    } catch { announcement.problems.append(error.description) }
  }
  dumps.removeAll { announcement.removed.contains($0.path) }
  present.remove(of: announcement.removed)
  do throws(DumpError) { try tellAtLogin(new, machine, isWanted: rules.motd) } catch {
    announcement.problems.append(error.description)
  }
  if present != known { try present.write(path) }
  if rules.report { addReports(dumps, &announcement) }
  return announcement
}

/// Whether /etc/mcore.conf and the kernel's command line want reports beside dumps (`report=`).
public func reportsAreWanted() -> Bool { CheckedSettings(Machine(root: "")).running.report }

/// Reports for the newest dumps that lack one: so many, and for so long. The next boot goes on.
private func addReports(_ dumps: [ListedDump], _ announcement: inout Announcement) {
  let end = System.monotonicNanoseconds + 120 * 1_000_000_000
  for dump in dumps.prefix(64) where System.monotonicNanoseconds < end {
    do throws(DumpError) {
      if try writeMissingReport(dump) { announcement.reported.append(dump.path) }
    } catch { announcement.problems.append("no report: \(error)") }
  }
}

/// Lines that were put down before: of which dumps somebody was told.
struct KnownDumps: Equatable {
  private var lines: [String] = []

  init() {}
  /// None where there is no such file.
  init(_ path: String) {
    lines = ((try? System.text(of: path)) ?? "").utf8.split(separator: 0x0a).map { String(Substring($0)) }
  }

  func contains(_ line: String) -> Bool { lines.contains(line) }
  mutating func insert(_ line: String) { lines.append(line) }
  /// Those of dumps that are gone: a line is a path, a blank and a status.
  mutating func remove(of paths: [String]) {
    lines.removeAll { line in paths.contains { line.utf8.starts(with: "\($0) ".utf8) } }
  }

  func write(_ path: String) throws(DumpError) {
    _ = try System.mkdir(parentDirectory(of: path), mode: 0o700)
    try System.replaceFile(path, with: Array(lines.reduce("") { $0 + $1 + "\n" }.utf8))
  }

  static func == (one: KnownDumps, other: KnownDumps) -> Bool { Set(one.lines) == Set(other.lines) }
}

extension CheckedSettings {
  /// Of the running system.
  init(_ machine: Machine) {
    self.init(
      file: (try? machine.text(ArmPlan.configurationFile)) ?? "", path: ArmPlan.configurationFile,
      commandLine: machine.commandLine)
  }
}

/// Where dumps of this machine lie: /var/crash, and the targets of the settings that are directories here.
public func dumpPlaces(_ request: ArmRequest = ArmRequest()) -> [String] {
  let machine = Machine(root: request.root)
  let first = machine.root + "/var/crash"
  return [first] + dumpDirectories(CheckedSettings(machine).targets.map(\.word), machine).filter { $0 != first }
}

/// Directories of the running system that are targets, and are there.
func dumpDirectories(_ targets: [String], _ machine: Machine) -> [String] {
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
    "MESSAGE=\(message)\nMESSAGE_ID=6d636f72652d4d0a9b7c1de0d7a8f2c1\nPRIORITY=\(isWhole ? 2 : 1)\nSYSLOG_IDENTIFIER=mcore\n"
      + "MCORE_DUMP=\(printable(path))\nMCORE_STATUS=\(status)\nMCORE_KERNEL=\(printable(release ?? ""))\n"
      + "MCORE_REASON=\(printable(reason ?? ""))\nMCORE_CRASH_TIME=\(timeText)\nMCORE_BYTES=\(bytes)\n"
  }

  /// Empty where it is not known.
  var timeText: String { time.map { UTCTime(secondsSince1970: $0).text } ?? "" }
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
