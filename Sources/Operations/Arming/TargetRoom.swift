public import CoreEncoding
internal import DumpBasics
internal import CaptureInit
public import CoreFormat
public import PageSelection
internal import LinuxSystem

/// Whether the targets of this machine's settings have room for a dump of some size.
public struct TargetRoom: Sendable {
  /// What the settings want a dump to be.
  public var level: Level
  public var format: OutputFormat
  /// What such a dump takes, in bytes; nil where that is not known.
  public private(set) var bytes: UInt64?
  public private(set) var targets: [(word: String, free: UInt64?, isEnough: Bool?)] = []
  /// What `crashkernel=` has to set aside, in MiB; nil where that can't be told.
  public private(set) var crashkernelMegabytes: UInt64?

  /// `size` is asked what a dump takes at the level and in the format of the settings.
  public init(_ request: ArmRequest = ArmRequest(), size: (Level, OutputFormat) -> UInt64?) {
    let machine = Machine(root: request.root)
    let settings = CheckedSettings(machine)
    (level, format) = (settings.level, settings.format)
    bytes = size(level, format)
    for (word, _) in settings.targets {
      let free = TargetStatus.freeBytes(word, machine)
      targets.append((word, free, free.flatMap { free in bytes.map { free >= $0 } }))
    }
    crashkernelMegabytes = (try? checkArm(request))?.crashkernelMegabytes
  }

  public var lines: [String] {
    let size = bytes.map { "about \(humanBytes($0))" } ?? "an unknown size"
    var lines = ["a dump by /etc/mcore.conf: level \(level.name), \(format.rawValue), \(size)"]
    for target in targets {
      let room = target.free.map { "\(humanBytes($0)) free: \(target.isEnough == true ? "enough" : "TOO LITTLE")" }
      lines.append("target \(printable(target.word)): \(room ?? "its room is not known here")")
    }
    if let crashkernelMegabytes { lines.append("crashkernel=\(crashkernelMegabytes)M is needed for these targets") }
    return lines
  }

  public var json: [(String, JSON)] {
    [
      (
        "settings",
        .object([
          ("level", .string(level.name)), ("format", .string(format.rawValue)), ("bytes", bytes.map(JSON.unsigned) ?? .null),
        ])
      ),
      (
        "targets",
        .array(
          targets.map {
            .object([
              ("target", .string($0.word)), ("free_bytes", $0.free.map(JSON.unsigned) ?? .null),
              ("enough", $0.isEnough.map(JSON.bool) ?? .null),
            ])
          })
      ),
      ("crashkernel_megabytes", crashkernelMegabytes.map(JSON.unsigned) ?? .null),
    ]
  }
}
