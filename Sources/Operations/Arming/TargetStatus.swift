internal import Capture
internal import CoreEncoding
internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem

/// A target of the settings, tried on the running system.
struct TargetStatus: Sendable {
  /// As it was written.
  var word: String
  var isMemory: Bool
  /// On another machine.
  var isRemote: Bool
  /// Why a crash kernel can't reach it.
  var reason: String?
  /// Why nothing can be written there now.
  var fault: String?
  /// A disk without a file system.
  var isRaw = false
  /// Whether something was written there, and removed.
  var isTried = false
  var free: UInt64?
  /// What a dump of this moment may take.
  var estimate: UInt64

  var isUsable: Bool { reason == nil && fault == nil }
  var isTight: Bool { free.map { $0 < estimate } ?? false }

  var text: String {
    let word = shownTarget(word)
    if let reason { return "target \(word): out of reach of a crash kernel: \(reason)" }
    if let fault { return "target \(word): \(fault)" }
    if isMemory { return "target \(word): the soft boot" }
    let room = free.map { ", \(humanBytes($0)) free, a dump now takes about \(humanBytes(estimate)) at most" } ?? ""
    return "target \(word): \(seen)\(room)\(isTight ? ": TOO LITTLE" : "")"
  }

  private var seen: String {
    if isRaw { return "nothing else is on it" }
    if !isTried { return "not tried" }
    return isRemote ? "it answers" : "written to"
  }

  var json: JSON {
    .object([
      ("target", .string(shownTarget(word))), ("usable", .bool(isUsable)), ("tried", .bool(isTried)),
      ("reason", .optional(reason ?? fault)),
      ("free_bytes", free.map(JSON.unsigned) ?? .null), ("estimate_bytes", .unsigned(estimate)),
    ])
  }

  /// A target with room for less than this part of a dump does not count.
  private static let leastShare: UInt64 = 16

  /// Seconds that a far side gets to answer.
  private static let limit: UInt64 = 20

  /// - Parameters:
  ///   - probes: whether a file is written, synced and removed, and far sides are asked.
  ///   - transfer: how they are reached.
  init(_ plan: TargetPlan, _ machine: Machine, estimate: UInt64, probes: Bool, transfer: TransferOptions) {
    (word, isMemory, isRemote, self.estimate) = (plan.word, plan.isMemory, plan.isRemote, estimate)
    reason = plan.reason?.description
    // Keys are root's.
    if isRemote, reason == nil, probes, System.isRoot, let spec = try? TargetSpec(plan.word) {
      do throws(DumpError) {
        free = try spec.askFarSide(transfer, limit: TargetStatus.limit)
        isTried = true
      } catch { fault = "no dump would get there now: \(error)" }
      return
    }
    if reason == nil, let path = (try? TargetSpec(plan.word))?.rawDisk?.path, let disk = try? RawDisk(path, forWriting: false) {
      // That it may be written over was looked at with the rest.
      (isRaw, free) = (true, disk.room)
      return
    }
    guard reason == nil, !isMemory, let directory = TargetStatus.directory(plan.word, machine) else { return }
    free = System.freeBytes(directory)
    // A dump is cut where its room ends, and what matters most stands first: but of so little nothing is
    // left.
    if let free, free < estimate / TargetStatus.leastShare {
      fault = "only \(humanBytes(free)) are free, and a dump now takes about \(humanBytes(estimate)) at most"
      return
    }
    guard probes, System.kind(of: directory) == .directory else { return }
    let probe = "\(directory)/.mcore-probe"
    do throws(DumpError) {
      defer { try? System.unlink(probe) }
      try System.replaceFile(probe, with: [UInt8](repeating: 0x6d, count: 4096))
      isTried = true
    } catch {
      // Without root nothing is known.
      if error.kind == .system(System.notPermitted) || error.kind == .system(System.accessDenied) { return }
      fault = "nothing can be written there: \(error)"
    }
  }

  /// Free bytes where a target is on the running system; nil where that can't be told.
  static func freeBytes(_ word: String, _ machine: Machine) -> UInt64? {
    directory(word, machine).flatMap { System.freeBytes($0) }
  }

  /// Where it is on the running system; nil for a disk that is not mounted. The nearest directory that is
  /// there, where it is to be made.
  private static func directory(_ word: String, _ machine: Machine) -> String? {
    guard let spec = try? TargetSpec(word), var path = runningPlace(of: spec, machine) else { return nil }
    while System.kind(of: path) == nil, parentDirectory(of: path) != path { path = parentDirectory(of: path) }
    return path
  }
}

/// Where a target is on the running system, whether it is there or not; nil for a disk that is not mounted.
func runningPlace(of spec: TargetSpec, _ machine: Machine) -> String? {
  if let place = spec.directoryPath { return machine.root + place }
  guard let (_, place) = spec.deviceAndPath, let device = spec.devicePath, let number = System.blockDevice(device) else {
    return nil
  }
  let mounts = MountTable.parse((try? System.text(of: "\(machine.root)/proc/self/mountinfo", limit: 4 << 20)) ?? "")
  let those = mounts.filter { ($0.device == number || $0.source == device) && $0.isWritable }
  let meant = try? MountTable.meant(those, subvolume: spec.subvolume, path: place, device: device) {
    System.kind(of: machine.root + $0) == .directory
  }
  guard let mount = meant else { return nil }
  return machine.root + (mount.point == "/" ? place : mount.point + place)
}

extension Machine {
  /// What a dump of this moment takes at most, roughly, in bytes: the memory that the level keeps, of which
  /// compression leaves a third or less (docs/performance.md).
  func dumpEstimate(_ words: [String]) -> UInt64 {
    var values: [String: UInt64] = [:]
    for line in ((try? text("/proc/meminfo")) ?? "").utf8.split(separator: 0x0a) {
      let words = line.split(whereSeparator: { $0 == 0x20 || $0 == 0x3a }).map { String(Substring($0)) }
      if words.count > 1, let value = UInt64(words[1]) { values[words[0]] = value << 10 }
    }
    let total = values["MemTotal"] ?? memory
    let free = values["MemFree"] ?? 0
    var left = free
    let level = words.last { $0.utf8.starts(with: "level=".utf8) } ?? "level=kern"
    if level == "level=all" || level == "level=0" { left = 0 }
    if level == "level=kern" || level == "level=31" {
      for key in ["Buffers", "Cached", "AnonPages", "SwapCached"] { left += values[key] ?? 0 }
      // It counts as page cache, and is none that is left out twice.
      left -= min(left, values["Shmem"] ?? 0)
    }
    return (total - min(total, left)) / 3
  }
}
