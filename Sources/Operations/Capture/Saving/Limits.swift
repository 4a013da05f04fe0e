internal import DumpBasics
internal import LinuxSystem

/// How long a dump may take and how large it may become. Where a limit is met the dump ends after the last
/// whole group of blocks, and is cut short. Zero: no limit.
public struct Limits: Sendable, Equatable {
  /// Seconds from the start of saving. Pass 1 is written in any case.
  public var seconds: UInt64 = 0
  /// Bytes of the dump file.
  public var bytes: UInt64 = 0

  public init() {}

  public static let timeForm = "none, or a number of s, m or h, such as 90s or 15m"
  public static let sizeForm = "none, or a number of bytes, K, M, G or T, such as 2G"

  /// `90`, `90s`, `15m`, `2h` in seconds; 0 for `none`. Nil for everything else, 0 and numbers past 2^40
  /// among it.
  public static func seconds(_ text: String) -> UInt64? {
    amount(text, units: [0x73: 1, 0x6d: 60, 0x68: 3600], limit: 1 << 40)
  }

  /// `1000000`, `64K`, `500M`, `2G`, `1T` in bytes, units of 1024; 0 for `none`. Nil for everything else, 0
  /// among it.
  public static func bytes(_ text: String) -> UInt64? {
    amount(text, units: [0x4b: 1 << 10, 0x4d: 1 << 20, 0x47: 1 << 30, 0x54: 1 << 40], limit: 1 << 62)
  }

  /// Digits alone, and one of the units at the end or none.
  private static func amount(_ text: String, units: [UInt8: UInt64], limit: UInt64) -> UInt64? {
    if text == "none" { return 0 }
    var digits = Array(text.utf8)
    var unit: UInt64 = 1
    if let last = digits.last, let known = units[last] {
      unit = known
      digits.removeLast()
    }
    var value: UInt64 = 0
    for digit in digits {
      guard (0x30...0x39).contains(digit), value <= limit else { return nil }
      value = value * 10 + UInt64(digit - 0x30)
    }
    let (amount, overflow) = value.multipliedReportingOverflow(by: unit)
    return !overflow && (1...limit).contains(amount) ? amount : nil
  }
}

/// Limits, from the moment on at which the work began.
struct RunningLimits: Sendable {
  private let limits: Limits
  private let start = System.monotonicNanoseconds

  init(_ limits: Limits) { self.limits = limits }

  /// Which limit is met if the file gets `bytes` long. `isEarly`: what comes next is still of pass 1.
  func reached(bytes: UInt64, isEarly: Bool) -> DumpError? {
    if limits.bytes > 0, bytes > limits.bytes {
      return DumpError(.full, "the size limit of \(humanBytes(limits.bytes)) is reached", at: "max-size")
    }
    if limits.seconds > 0, !isEarly, (System.monotonicNanoseconds - start) / 1_000_000_000 >= limits.seconds {
      return DumpError(.full, "the time limit of \(limits.seconds) s is reached", at: "max-time")
    }
    return nil
  }
}
