internal import Capture
internal import DumpBasics
internal import LinuxSystem
internal import Synchronization
internal import Workers

/// Whether a watchdog may still be fed: as long as the work went forward not too long ago.
struct FeedingRule: Sendable {
  /// Nanoseconds that the work may stand still.
  let patience: UInt64
  private var lastCount: UInt64
  private var lastStep: UInt64

  /// `count` and `now` as below.
  init(patience: UInt64, count: UInt64, now: UInt64) {
    self.patience = patience
    lastCount = count
    lastStep = now
  }

  /// `count` changes with every step of the work; `now` is a clock in nanoseconds.
  mutating func mayFeed(count: UInt64, now: UInt64) -> Bool {
    if count != lastCount {
      lastCount = count
      lastStep = now
    }
    return now - min(now, lastStep) <= patience
  }
}

/// The machine's watchdogs, /dev/watchdogN (Documentation/watchdog/watchdog-api.rst of Linux 6.1): one that
/// the crashed kernel left armed would restart the machine in the middle of the dump.
///
/// Whether one runs can't be told in general: drivers reset their device when they are loaded, a locked one
/// goes on all the same, and `state` in sysfs only says whether somebody has it open. So each that is there
/// is opened, which arms it, and fed. Closed after a `V` it is disarmed, unless its driver may not do that
/// (nowayout); closed without, it stays armed.
final class Watchdogs: Sendable {
  private let devices: [Device]

  private final class Device: Sendable {
    let file: File
    init(_ path: String) throws(DumpError) { file = try File(path, .readWrite) }
  }

  /// Nil when none is there to be opened.
  init?(in directory: String = "/dev", _ reporter: any Reporter) {
    var opened: [Device] = []
    for name in Watchdogs.names(among: (try? System.names(in: directory)) ?? []) {
      do throws(DumpError) {
        opened.append(try Device("\(directory)/\(name)"))
      } catch {
        // A name without a device is no watchdog. One that somebody else has open (EBUSY) is fed, or not, by
        // them.
        if error.kind == .system(System.busy) { reporter.message("\(directory)/\(name) is in use, and left alone") }
      }
    }
    if opened.isEmpty { return nil }
    devices = opened
  }

  /// Those that are in the crash kernel, and are ours to feed: elsewhere a watchdog belongs to the running
  /// system.
  static func ofCrashKernel(_ settings: Settings, _ reporter: any Reporter) -> Watchdogs? {
    settings.watchdog.value == .auto && System.kind(of: "/proc/vmcore") != nil ? Watchdogs(reporter) : nil
  }

  /// `watchdog` is another name of `watchdog0` where there is that (watchdog_dev.c).
  static func names(among names: [String]) -> [String] {
    let prefix = "watchdog".utf8
    let numbered = names.filter { name in
      let number = name.utf8.dropFirst(prefix.count)
      return name.utf8.starts(with: prefix) && !number.isEmpty && number.allSatisfy { (0x30...0x39).contains($0) }
    }
    return numbered.isEmpty ? names.filter { $0 == "watchdog" } : numbered
  }

  var paths: String { devices.map { $0.file.path }.joined(separator: ", ") }

  /// Any byte but a `V` feeds. When the write fails, nothing else can be done.
  func feed() { for device in devices { try? device.file.write([0]) } }

  /// For the time when a person or another program takes over, or the machine halts: perhaps nobody feeds
  /// them then.
  static func disarm(_ settings: Settings, _ reporter: any Reporter) {
    guard let watchdogs = ofCrashKernel(settings, reporter) else { return }
    watchdogs.allowDisarming()
    reporter.message("\(watchdogs.paths): disarmed, unless its driver may not (nowayout): then feed it (watchdog -t 5 DEVICE)")
  }

  /// Closing disarms after this, if nothing else is written.
  func allowDisarming() { for device in devices { try? device.file.write("V") } }
}

/// Feeds watchdogs beside the work for as long as that goes forward. When it is let go they are closed and
/// stay armed.
final class WatchdogFeeder {
  private let thread: Repeating?

  /// How often, in milliseconds: twice in the shortest timeout that there is, 1 s.
  static let interval = 500
  /// Seconds that the work may stand still: a mount may take 180 s, and a disk's driver tries a bad sector
  /// for minutes.
  static let patience: UInt64 = 200

  /// `patience` in seconds.
  init(_ watchdogs: Watchdogs, patience: UInt64, interval: Int = interval, _ reporter: any Reporter) {
    watchdogs.feed()
    let state = Shared(
      FeedingRule(patience: patience * 1_000_000_000, count: Activity.count, now: System.monotonicNanoseconds))
    thread = Repeating(milliseconds: interval) {
      if state.mayFeed() {
        watchdogs.feed()
      } else if state.isFirstRefusal() {
        reporter.warning("no progress for \(patience) s: \(watchdogs.paths) is not fed until there is")
      }
    }
    if thread == nil { reporter.warning("no thread can be made: \(watchdogs.paths) is not fed") }
  }

  private final class Shared: Sendable {
    private let state: Mutex<(rule: FeedingRule, wasRefused: Bool)>

    init(_ rule: FeedingRule) { state = Mutex((rule, false)) }

    func mayFeed() -> Bool {
      state.withLock { $0.rule.mayFeed(count: Activity.count, now: System.monotonicNanoseconds) }
    }

    func isFirstRefusal() -> Bool {
      state.withLock { state in
        defer { state.wasRefused = true }
        return !state.wasRefused
      }
    }
  }
}

/// What is done with watchdogs: `watchdog=`.
enum WatchdogUse: String, Sendable, CaseIterable {
  /// In a crash kernel, those that are there are fed while saving goes forward.
  case auto
  case off
}
