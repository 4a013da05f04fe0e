internal import CaptureInit
internal import DumpBasics
internal import LinuxSystem
internal import SoftBoot

/// Kernel settings under /proc/sys that make a panic of what is otherwise only a message.
struct Sysctl: Equatable {
  /// With slashes: `kernel/panic_on_oops`.
  var name: String
  var before: String
  var after: String

  var word: String { "\(name)=\(before):\(after)" }

  init(_ name: String, before: String, after: String) { (self.name, self.before, self.after) = (name, before, after) }

  /// What a record says, if it is of this boot: after another nothing is set.
  static func ofBoot(_ machine: Machine, _ record: ArmedRecord) -> [Sysctl] {
    record.bootID == machine.bootID ? record.sysctls.compactMap { Sysctl($0) } : []
  }

  /// As it stands in the record; nil for what is not one.
  init?(_ word: String) {
    let halves = word.utf8.split(separator: 0x3d, maxSplits: 1).map { String(Substring($0)) }
    guard halves.count == 2 else { return nil }
    let values = halves[1].utf8.split(separator: 0x3a).map { String(Substring($0)) }
    guard values.count == 2, values.allSatisfy({ Int64($0) != nil }), !halves[0].utf8.contains(0x2e) else { return nil }
    self.init(halves[0], before: values[0], after: values[1])
  }
}

extension PanicTrigger {
  /// What has to be set, by Documentation/admin-guide/sysctl of Linux. Of sysrq the bit for what a crash is
  /// one of is added to what is allowed.
  fileprivate func settings(_ machine: Machine) -> [(name: String, value: String)] {
    switch kind {
    case .oops: return [("kernel/panic_on_oops", "1")]
    case .softlockup: return [("kernel/softlockup_panic", "1")]
    case .hardlockup: return [("kernel/hardlockup_panic", "1")]
    case .nmi:
      return [("kernel/unknown_nmi_panic", "1"), ("kernel/panic_on_unrecovered_nmi", "1"), ("kernel/panic_on_io_nmi", "1")]
    case .oom: return [("vm/panic_on_oom", "1")]
    case .warn: return [("kernel/panic_on_warn", "1")]
    case .rcuStall: return [("kernel/panic_on_rcu_stall", "1")]
    case .hungTask:
      let timeout = seconds.map { [(name: "kernel/hung_task_timeout_secs", value: String($0))] } ?? []
      return [("kernel/hung_task_panic", "1")] + timeout
    case .sysrq:
      let now = machine.line("/proc/sys/kernel/sysrq").flatMap { UInt64($0) } ?? 0
      return now == 1 ? [] : [("kernel/sysrq", String(now | 8))]
    }
  }
}

extension PanicTrigger {
  /// Whether that file below /proc/sys is one that it sets.
  func needs(_ name: String, _ machine: Machine) -> Bool { settings(machine).contains { $0.name == name } }
}

extension Machine {
  /// Whether all that a trigger needs is set now.
  func isSet(_ trigger: PanicTrigger) -> Bool {
    trigger.settings(self).allSatisfy { line("/proc/sys/\($0.name)") == $0.value }
  }

  /// Sets what the triggers need. `earlier` is what was set before in this boot, and still is: it keeps the
  /// values of before that. Returns what is to be put back one day, and a line for each that can't be set.
  func set(_ triggers: [PanicTrigger], earlier: [Sysctl]) -> (set: [Sysctl], problems: [String]) {
    var result: [Sysctl] = []
    var problems: [String] = []
    // What is no longer wanted goes first.
    let wanted = triggers.flatMap { $0.settings(self) }
    putBack(earlier.filter { old in !wanted.contains { $0.name == old.name } })
    for (name, value) in wanted {
      guard let now = line("/proc/sys/\(name)") else {
        problems.append("this kernel has no \(name)")
        continue
      }
      let before = earlier.first { $0.name == name && $0.after == now }?.before ?? now
      do throws(DumpError) {
        if now != value { try write(value, name) }
        if before != value { result.append(Sysctl(name, before: before, after: value)) }
      } catch { problems.append(error.description) }
    }
    return (result, problems)
  }

  /// As it was, where nobody has changed it since.
  func putBack(_ sysctls: [Sysctl]) {
    for sysctl in sysctls where line("/proc/sys/\(sysctl.name)") == sysctl.after { try? write(sysctl.before, sysctl.name) }
  }

  private func write(_ value: String, _ name: String) throws(DumpError) {
    let file = try File("\(root)/proc/sys/\(name)", .write)
    // A file of /proc needs none of it.
    try? file.truncate(to: 0)
    try file.write(value + "\n")
  }
}
