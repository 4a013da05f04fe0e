internal import Capture
internal import CoreFormat
internal import DumpBasics
internal import DumpTarget
internal import PageClasses
internal import PageSelection
internal import SoftBoot

/// A value, with where it stood.
struct Placed<Value: Sendable & Equatable>: Sendable, Equatable {
  var value: Value
  /// Nil for what is built in.
  var origin: String?

  init(_ value: Value, from origin: String? = nil) {
    self.value = value
    self.origin = origin
  }
}

/// What mcore-capture goes by.
struct Settings: Sendable, Equatable {
  static let configurationFile = "/etc/mcore.conf"

  /// Tried in order.
  var targets: [Placed<String>] = []
  /// Those that get the dump at the same time as the target that is tried.
  var mirrors: [Placed<String>] = []
  /// By `level=` or by `exclude=`, whichever is the last.
  var level = Placed(Level.kern)
  var trust = Placed(Trust.checked)
  var format = Placed(OutputFormat.elfGzip)
  var speed = Placed(Speed.balanced)
  /// 0: one for each CPU.
  var threads = Placed(0)
  var source = Placed("/proc/vmcore")
  /// 0: no limit. In seconds, and in bytes.
  var maxTime = Placed<UInt64>(0)
  var maxSize = Placed<UInt64>(0)
  /// Nil: reboot for PID 1, exit by hand.
  var final: Placed<HandOffs>?
  var failure: Placed<HandOffs>?
  var watchdog = Placed(WatchdogUse.auto)
  /// A shell before anything else is done.
  var shell = Placed(false)
  /// A file that lists kernel modules to load.
  var modules = Placed("/etc/mcore.modules")
  /// Where the normal kernel lies, which saves what went to the target memory: (`NormalKernel`).
  var normal = Placed(NormalKernel.standardDirectory)
  /// Where a dump waits in memory: the crash kernel says so on the normal kernel's command line.
  var region: Placed<String>?
  /// What a region has to carry.
  var nonce: Placed<RegionID>?
  /// How often saving a dump in memory may be begun and come to no end; 0 is any number of times.
  var attempts = Placed<UInt64>(3)
  /// A disk for the log and the registers, should no target take the dump.
  var last: Placed<String>?
  /// Bytes a second over a network; 0 is no limit.
  var maxRate = Placed<UInt64>(0)
  /// Seconds without a byte after which a target has failed; 0 is never.
  var stallTime = Placed(TransferOptions.standardStall)
  var sshKey: Placed<String>?
  var sshKnownHosts: Placed<String>?
  var curlConfig: Placed<String>?
  /// Whether targets `raw:` write over anything.
  var force = Placed(false)
  /// What the running machine recorded of its network.
  var network = Placed(NetworkRecord.standardPath)
  /// Seconds that each hook gets.
  var hookTime = Placed<UInt64>(60)
  /// Seconds that the disks of targets get to appear.
  var wait = Placed<UInt64>(30)

  /// Whether a report stands beside the dump.
  var report = Placed(true)
  var witness: (any KernelWitness)? { report.value ? ReportChild() : nil }

  /// How dumps travel.
  var transfer: TransferOptions {
    var transfer = TransferOptions()
    transfer.stallSeconds = stallTime.value
    transfer.maxRate = maxRate.value
    transfer.waitSeconds = wait.value
    transfer.sshKey = sshKey?.value
    transfer.sshKnownHosts = sshKnownHosts?.value
    transfer.curlConfig = curlConfig?.value
    transfer.force = force.value
    return transfer
  }

  /// What was wrong with the words: each is left out, and the rest holds.
  private(set) var problems: [DumpError] = []

  /// Takes the words in the order of their places: the last one wins. Targets add up within a place.
  init(_ words: [Word]) {
    var placeOfTargets: Place?
    for place in Place.allCases {
      for word in words where word.place == place {
        do throws(DumpError) {
          let (key, value) = try SettingKey.parse(word)
          let earlier = targets.count
          try key.apply(value, word, &self)
          // Only a target that is right replaces those of an earlier place.
          if key.name == SettingKey.targetName, placeOfTargets != place {
            targets.removeFirst(earlier)
            placeOfTargets = place
          }
        } catch {
          problems.append(error)
        }
      }
    }
  }
}
