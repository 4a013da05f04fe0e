public import DumpBasics
internal import LinuxSystem

/// What a dump directory of ours may hold. One with anything else in it is somebody's, and stays.
private let ownNames = ["dmesg.txt", "report.txt", "report.json", "report.html", "dump.json"]

/// Whether mcore writes a file of that name beside a dump, or it is the dump.
func isOwnName(_ name: String) -> Bool {
  ownNames.contains(name) || name == abandonedName || name.utf8.starts(with: "vmcore.".utf8)
}

/// Removes whole dumps of mcore but for the newest `keep`, and returns the paths of those that are gone. What
/// is not whole, what another tool wrote, and what holds more than a dump is neither counted nor removed; the
/// newest is never removed.
public func removeOldDumps(in directory: String, keep: Int) throws(DumpError) -> [String] {
  let own = try listDumps(in: directory).filter { $0.isWhole && $0.isOurs }
  var removed: [String] = []
  for dump in own.dropFirst(max(1, keep)) {
    let names = try System.names(in: dump.path)
    guard names.allSatisfy({ ownNames.contains($0) || $0.utf8.starts(with: "vmcore.".utf8) }) else { continue }
    // Without the manifest first it could not pass for whole when this is cut short.
    for name in names.sorted(by: { ($0 != "dump.json" ? 1 : 0, $0) < ($1 != "dump.json" ? 1 : 0, $1) }) {
      try System.unlink("\(dump.path)/\(name)")
    }
    try System.rmdir(dump.path)
    removed.append(dump.path)
  }
  if !removed.isEmpty { try System.synchronizeDirectory(directory) }
  return removed
}
