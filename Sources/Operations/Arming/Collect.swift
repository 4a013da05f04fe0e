public import Capture
internal import CaptureInit
public import DumpBasics
internal import DumpTarget
internal import LinuxSystem

/// Copies what waits on the raw disks among this machine's targets (`target=raw:/dev/DISK`) to the first of
/// its other targets that takes it, and marks it saved. What did not come through whole is copied once, and
/// stays on the disk.
/// - Returns: what was saved.
/// - Throws: the last reason for which a dump still waits; the others are told to `reporter`.
public func collectDumps(_ request: ArmRequest = ArmRequest(), reporter: any Reporter) throws(DumpError) -> [SaveResult] {
  let machine = Machine(root: request.root)
  let settings = CheckedSettings(machine)
  let known = KnownDumps("\(request.directory)/collected")
  var seen = KnownDumps()
  var saved: [SaveResult] = []
  var problem: DumpError?
  let specs = settings.targets.compactMap { try? TargetSpec($0.word) }
  // On the machine itself first: the network may not be there yet.
  let local = specs.filter { $0.deviceAndPath != nil || $0.directoryPath != nil }
  let targets = (local + specs.filter { $0.farSide != nil }).map(\.word)
  for (word, origin) in settings.targets {
    guard let spec = try? TargetSpec(word), spec.rawDisk != nil else { continue }
    // Early in a boot disks are still being found.
    _ = spec.waitUntilPresent(seconds: 10) {}
    guard let disk = spec.rawDisk, let path = disk.path else { continue }
    do throws(DumpError) {
      guard let header = try RawDisk(path, forWriting: false).header(), header.state != .saved else { continue }
      let key = "\(printable(disk.name)) \(printable(header.name)) \(header.checksum)"
      if known.contains(key) {
        seen.insert(key)
        continue
      }
      guard !targets.isEmpty else {
        throw DumpError(
          .usage, "a dump waits on \(disk.name), and no target is given to which it could be copied", at: origin,
          advice: "mcore save raw:\(disk.name) DIRECTORY saves it; a line target=/var/crash behind it has that done at each boot")
      }
      saved.append(try saveRaw("raw:\(path)", to: targets, settings.transfer, threads: 0, reporter))
      seen.insert(key)
    } catch {
      if let problem { reporter.warning(problem.description) }
      problem = error
    }
  }
  if seen != known { try seen.write("\(request.directory)/collected") }
  if let problem { throw problem }
  return saved
}
