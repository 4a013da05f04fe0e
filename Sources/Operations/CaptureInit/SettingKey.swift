internal import Capture
internal import CoreFormat
internal import DumpBasics
internal import DumpTarget
internal import PageClasses
internal import PageSelection
internal import SoftBoot

/// One key of the settings: parsing, messages and help all go by the list of these.
struct SettingKey: Sendable {
  var name: String
  /// The values that are allowed, for people.
  var allowed: String
  var help: String
  /// Puts the value into the settings, or returns false when it is not allowed. May throw what says more.
  var set: @Sendable (_ value: String, _ origin: String, inout Settings) throws(DumpError) -> Bool

  static let targetName = "target"
  /// What a crash kernel is not told as it stands: `arm` says it anew, or it is for another kernel.
  static var notForCrashKernel: [String] {
    RunningSettings.names + [targetName, "source", "modules", "normal", "region", "nonce"]
  }

  /// `key=value`, or an error that names what is wrong.
  static func parse(_ word: Word) throws(DumpError) -> (key: SettingKey, value: String) {
    let bytes = Array(word.text.utf8)
    guard let equals = bytes.firstIndex(of: 0x3d) else {
      let hint = all.first { $0.name == word.text }.map { "write \($0.name)=VALUE, with \($0.allowed)" }
      throw DumpError(
        .usage, "'\(word.text)' is no setting", at: word.origin,
        advice: hint ?? "settings are words key=value\(nearest(word.text)); mcore-capture --help lists them")
    }
    let name = String(decoding: bytes[..<equals], as: UTF8.self)
    guard let key = all.first(where: { $0.name == name }) else {
      throw DumpError(
        .usage, "there is no setting '\(name)' (in '\(word.text)')", at: word.origin,
        advice: "there are \(all.map(\.name).joined(separator: ", "))\(nearest(name))")
    }
    return (key, String(decoding: bytes[(equals + 1)...], as: UTF8.self))
  }

  func apply(_ value: String, _ word: Word, _ settings: inout Settings) throws(DumpError) {
    let isAllowed: Bool
    do throws(DumpError) {
      isAllowed = try set(value, word.origin, &settings)
    } catch {
      throw DumpError(error.kind, "\(name)=\(value): \(error.what)", at: word.origin, advice: error.advice)
    }
    if !isAllowed { throw notAllowed(value, at: word.origin) }
  }

  func notAllowed(_ value: String, at origin: String) -> DumpError {
    DumpError(
      .usage, "\(name)=\(TargetSpec.withoutLogin(value)): no such value for \(name)", at: origin, advice: "allowed: \(allowed)")
  }

  /// A key of `RunningSettings`, which looks at its value: nothing is done with it here.
  private static func running(_ name: String, _ allowed: String, _ help: String) -> SettingKey {
    SettingKey(name: name, allowed: allowed, help: help) { (_, _, _) throws(DumpError) in true }
  }

  private static func nearest(_ name: String) -> String {
    nearestMatch(name, all.map(\.name)).map { "; did you mean \($0)=?" } ?? ""
  }

  // MARK: the list

  static let all: [SettingKey] = [
    SettingKey(
      name: targetName, allowed: TargetSpec.forms,
      help:
        "where the dump goes. Several are tried in order: repeat it. The targets of a later place replace all of an earlier one"
    ) { (value, origin, settings) throws(DumpError) in
      _ = try TargetSpec(value)
      settings.targets.append(Placed(value, from: origin))
      return true
    },
    SettingKey(
      name: "level", allowed: "\(Level.allNames), or 0 to 31 as for makedumpfile's -d",
      help: "how much goes into the dump (default kern)"
    ) { (value, origin, settings) throws(DumpError) in
      let byNumber = decimal(value, 0...31).flatMap { Level(dumpLevel: Int($0)) }
      return assign(byNumber ?? Level(named: value), origin, &settings.level)
    },
    SettingKey(
      name: "exclude", allowed: "\(Level.excludableNames), with commas between them",
      help: "classes of pages that are left out; in place of level"
    ) { (value, origin, settings) throws(DumpError) in assign(try Level(excluding: value), origin, &settings.level) },
    SettingKey(
      name: "trust", allowed: Trust.allNames,
      help: "how far the kernel's page map is believed: checked, as it stands, or not at all (default checked)"
    ) { (value, origin, settings) throws(DumpError) in assign(Trust(rawValue: value), origin, &settings.trust) },
    SettingKey(
      name: "format", allowed: OutputFormat.allNames, help: "of the dump file (default elf.gz)"
    ) { (value, origin, settings) throws(DumpError) in assign(OutputFormat(rawValue: value), origin, &settings.format) },
    SettingKey(
      name: "speed", allowed: Speed.allNames,
      help: "how hard the codecs of elf.gz and elf.zst try; adaptive goes by the target (default balanced)"
    ) { (value, origin, settings) throws(DumpError) in assign(Speed(rawValue: value), origin, &settings.speed) },
    SettingKey(
      name: "threads", allowed: "0 to 1024", help: "worker threads; 0 is one for each CPU (default 0)"
    ) { (value, origin, settings) throws(DumpError) in assign(decimal(value, 0...1024).map { Int($0) }, origin, &settings.threads)
    },
    SettingKey(
      name: "source", allowed: "a path, memory:, or raw:/dev/DISK",
      help: "what is saved (default /proc/vmcore); memory: is what a crash kernel left in memory, raw: on a raw disk"
    ) { (value, origin, settings) throws(DumpError) in assign(path(value), origin, &settings.source) },
    SettingKey(
      name: "max-time", allowed: Limits.timeForm, help: "saving ends then, with what is written (default none)"
    ) { (value, origin, settings) throws(DumpError) in assign(Limits.seconds(value), origin, &settings.maxTime) },
    SettingKey(
      name: "max-size", allowed: Limits.sizeForm, help: "of the dump file; it ends before that (default none)"
    ) { (value, origin, settings) throws(DumpError) in assign(Limits.bytes(value), origin, &settings.maxSize) },
    SettingKey(
      name: "final", allowed: HandOffs.form, help: "what follows success, tried in order (default: reboot as PID 1, exit by hand)"
    ) { (value, origin, settings) throws(DumpError) in assign(HandOffs(value), origin, &settings.final) },
    SettingKey(
      name: "failure", allowed: HandOffs.form,
      help: "what follows failure, tried in order (default: reboot as PID 1, exit by hand)"
    ) { (value, origin, settings) throws(DumpError) in assign(HandOffs(value), origin, &settings.failure) },
    SettingKey(
      name: "watchdog", allowed: WatchdogUse.allNames,
      help: "in a crash kernel, watchdogs are fed while there is progress (default auto)"
    ) { (value, origin, settings) throws(DumpError) in assign(WatchdogUse(rawValue: value), origin, &settings.watchdog) },
    SettingKey(
      name: "shell", allowed: "yes, no", help: "a rescue shell before anything is saved (default no)"
    ) { (value, origin, settings) throws(DumpError) in
      assign(yesOrNo(value), origin, &settings.shell)
    },
    SettingKey(
      name: "modules", allowed: "a path",
      help: "a file of kernel modules to load as PID 1, one path a line, in order (default /etc/mcore.modules)"
    ) { (value, origin, settings) throws(DumpError) in assign(path(value), origin, &settings.modules) },
    SettingKey(
      name: "normal", allowed: "a path", help: "the directory of the normal kernel, for target=memory: (default /normal)"
    ) { (value, origin, settings) throws(DumpError) in assign(path(value), origin, &settings.normal) },
    SettingKey(
      name: "region", allowed: "SIZE@ADDRESS,...", help: "where source=memory: looks; the crash kernel sets it"
    ) { (value, origin, settings) throws(DumpError) in
      _ = try RegionExtents(word: value)
      return assign(value, origin, &settings.region)
    },
    SettingKey(
      name: "nonce", allowed: "32 hexadecimal digits", help: "what a dump in memory has to carry; the crash kernel sets it"
    ) { (value, origin, settings) throws(DumpError) in assign(RegionID(value), origin, &settings.nonce) },
    SettingKey(
      name: "attempts", allowed: "0 to 1000",
      help: "source=memory: leaves alone what was begun so often and came to no end; 0 is never (default 3)"
    ) { (value, origin, settings) throws(DumpError) in assign(decimal(value, 0...1000), origin, &settings.attempts) },
    running("panic-on", PanicTrigger.form, "what ends in a panic, set by mcore arm (default oops)"),
    running("cpus", "auto, or 1 to 1024", "CPUs of the crash kernel, set by mcore arm (default auto)"),
    running("append", "none, or words", "more words for the crash kernel's command line (default none)"),
    running("keep", "all, or 1 to 1000", "dumps that stay; older ones go at a boot (default all)"),
    running("keep-days", "all, or 1 to 36500", "days that a dump stays (default all)"),
    running("min-free", Limits.sizeForm, "room that old dumps make at a boot (default none)"),
    running("notify", "none, or a command", "run for each new dump at the next boot (default none)"),
    running("motd", "yes, no", "a line at login tells of new dumps (default yes)"),
    SettingKey(
      name: "report", allowed: "yes, no", help: "a report beside each dump: what crashed, and how (default yes)"
    ) { (value, origin, settings) throws(DumpError) in
      assign(yesOrNo(value), origin, &settings.report)
    },
    SettingKey(
      name: "last", allowed: "/dev/DISK, PARTUUID=..., PARTLABEL=...",
      help: "a disk, set aside, for the log and the registers when every target failed (default none)"
    ) { (value, origin, settings) throws(DumpError) in assign(LastResort.isDevice(value) ? value : nil, origin, &settings.last) },
    SettingKey(
      name: "mirror", allowed: TargetSpec.forms,
      help: "a target that gets the dump at the same time as the one that is tried; repeat it for more"
    ) { (value, origin, settings) throws(DumpError) in
      guard try TargetSpec(value).nextKernel == .none else { return false }
      settings.mirrors.append(Placed(value, from: origin))
      return true
    },
    SettingKey(
      name: "max-rate", allowed: Limits.sizeForm,
      help: "bytes a second that go out over a network, to each target (default none)"
    ) { (value, origin, settings) throws(DumpError) in assign(Limits.bytes(value), origin, &settings.maxRate) },
    SettingKey(
      name: "stall-time", allowed: Limits.timeForm,
      help: "a target that takes no byte for so long has failed, and the next one gets the dump (default 3m)"
    ) { (value, origin, settings) throws(DumpError) in assign(Limits.seconds(value), origin, &settings.stallTime) },
    SettingKey(
      name: "ssh-key", allowed: "a path", help: "the private key for targets ssh: (default: those that ssh looks for)"
    ) { (value, origin, settings) throws(DumpError) in assign(path(value), origin, &settings.sshKey) },
    SettingKey(
      name: "ssh-known-hosts", allowed: "a path",
      help: "the host keys that targets ssh: may have (default: those that ssh knows)"
    ) { (value, origin, settings) throws(DumpError) in assign(path(value), origin, &settings.sshKnownHosts) },
    SettingKey(
      name: "curl-config", allowed: "a path",
      help: "options of curl for targets https:, one a line: cacert, user, header, proxy (default none)"
    ) { (value, origin, settings) throws(DumpError) in assign(path(value), origin, &settings.curlConfig) },
    SettingKey(
      name: "network", allowed: "a path",
      help: "what the running machine recorded of its network, which is brought up for targets (default /etc/mcore.network)"
    ) { (value, origin, settings) throws(DumpError) in assign(path(value), origin, &settings.network) },
    SettingKey(
      name: "force", allowed: "yes, no", help: "targets raw: are written to whatever is on the disk (default no)"
    ) { (value, origin, settings) throws(DumpError) in
      assign(yesOrNo(value), origin, &settings.force)
    },
    SettingKey(
      name: "hook-time", allowed: "1 to 3600", help: "seconds that each hook of /etc/mcore/hooks.d gets (default 60)"
    ) { (value, origin, settings) throws(DumpError) in assign(decimal(value, 1...3600), origin, &settings.hookTime) },
    SettingKey(
      name: "wait", allowed: "0 to 3600",
      help: "seconds that the disks of targets get to appear, and far sides to answer (default 30)"
    ) { (value, origin, settings) throws(DumpError) in assign(decimal(value, 0...3600), origin, &settings.wait) },
  ]
}

/// False when there is no value.
private func assign<Value: Sendable & Equatable>(_ value: Value?, _ origin: String, _ place: inout Placed<Value>) -> Bool {
  guard let value else { return false }
  place = Placed(value, from: origin)
  return true
}

private func assign<Value: Sendable & Equatable>(_ value: Value?, _ origin: String, _ place: inout Placed<Value>?) -> Bool {
  guard let value else { return false }
  place = Placed(value, from: origin)
  return true
}

func yesOrNo(_ text: String) -> Bool? { text == "yes" ? true : text == "no" ? false : nil }

/// A path, or another word that says more than nothing.
private func path(_ text: String) -> String? { text.isEmpty ? nil : text }

/// Decimal digits alone: no sign, no blanks.
func decimal(_ text: String, _ range: ClosedRange<UInt64>) -> UInt64? {
  guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = UInt64(text) else { return nil }
  return range.contains(value) ? value : nil
}
