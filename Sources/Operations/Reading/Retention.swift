internal import Capture
internal import CoreFormat
internal import CrashedKernel
public import DumpBasics
internal import DumpSource
internal import DumpTarget
internal import LinuxSystem

/// What a dump directory of ours may hold. One with anything else in it is somebody's, and stays.
private let ownNames = ["dmesg.txt", "report.txt", "report.json", "report.html", "dump.json"]

/// The dump itself in each format, and its index.
private let dumpNames = OutputFormat.allCases.flatMap { [$0.fileName, "\($0.fileName).gzi"] }

/// Whether mcore writes a file of that name beside a dump, or it is the dump.
func isOwnName(_ name: String) -> Bool { ownNames.contains(name) || name == abandonedName || dumpNames.contains(name) }

/// Which dumps go. A rule that is 0 removes nothing.
public struct Retention: Sendable, Equatable {
  /// So many of the newest stay.
  public var keep = 0
  /// Older ones go.
  public var days = 0
  /// The oldest go until there are so many free bytes.
  public var minFree: UInt64 = 0
  /// The name of this machine (`uname -n`): dumps of another one stay, and so do those that don't say whose
  /// they are. Nil: whose they are is not looked at.
  public var node: String?

  public init(keep: Int = 0, days: Int = 0, minFree: UInt64 = 0, node: String? = nil) {
    (self.keep, self.days, self.minFree, self.node) = (keep, days, minFree, node)
  }

  public var isEmpty: Bool { keep <= 0 && days <= 0 && minFree == 0 }
}

/// Removes old dumps of mcore from a directory, and returns the paths of those that are gone. What is not
/// whole, what another tool or machine wrote, and what holds more than a dump is neither counted nor removed;
/// the newest is never removed, nor what is behind a symbolic link, nor any of `sparing`, by their paths.
///
/// `problems` hears of each dump that should go and can't: the others go all the same.
public func removeOldDumps(
  in directory: String, _ rules: Retention, sparing: Set<String> = [], problems: (DumpError) -> Void = { _ in }
) throws(DumpError) -> [String] {
  try removeOldDumps(in: directory, rules, now: System.secondsSince1970, sparing: sparing, problems: problems) {
    System.freeBytes(directory)
  }
}

/// `free` is asked anew after each dump that is gone.
func removeOldDumps(
  in directory: String, _ rules: Retention, now: Int64, sparing: Set<String> = [], problems: (DumpError) -> Void = { _ in },
  free: () -> UInt64?
) throws(DumpError) -> [String] {
  if rules.isEmpty { return [] }
  var own: [ListedDump] = []
  for dump in try listDumps(in: directory) where dump.isWhole && dump.isOurs && !dump.isElsewhere {
    if try isOfNode(dump, rules.node), try holdsDumpAlone(dump) { own.append(dump) }
  }
  let oldest = now - Int64(clamping: rules.days) * 86_400
  var removed: [String] = []
  func remove(_ dump: ListedDump) {
    if sparing.contains(dump.path) { return }
    do throws(DumpError) {
      try removeFiles(of: dump)
      removed.append(dump.path)
    } catch { problems(error) }
  }
  var staying: [ListedDump] = []
  for (place, dump) in own.enumerated() {
    let isExpired = rules.days > 0 && dump.time.map { $0 < oldest } ?? false
    if place > 0, isExpired || rules.keep > 0 && place >= rules.keep { remove(dump) } else { staying.append(dump) }
  }
  if rules.minFree > 0 {
    while staying.count > 1, let room = free(), room < rules.minFree, let dump = staying.popLast() { remove(dump) }
  }
  if !removed.isEmpty { try System.synchronizeDirectory(directory) }
  return removed
}

private func holdsDumpAlone(_ dump: ListedDump) throws(DumpError) -> Bool {
  try System.names(in: dump.path).allSatisfy {
    (ownNames.contains($0) || dumpNames.contains($0)) && System.linkTarget(of: "\(dump.path)/\($0)") == nil
      && System.kind(of: "\(dump.path)/\($0)") == .regular
  }
}

/// By `init_uts_ns` in the dump.
private func isOfNode(_ dump: ListedDump, _ node: String?) throws(DumpError) -> Bool {
  guard let node else { return true }
  guard let names = CrashedKernel(try openDump(dump.path)).names else { return false }
  return names[1] == node
}

private func removeFiles(of dump: ListedDump) throws(DumpError) {
  // Without the manifest first it could not pass for whole when this is cut short.
  for name in try System.names(in: dump.path).sorted(by: { ($0 != "dump.json" ? 1 : 0, $0) < ($1 != "dump.json" ? 1 : 0, $1) }) {
    try System.unlink("\(dump.path)/\(name)")
  }
  try System.rmdir(dump.path)
}
