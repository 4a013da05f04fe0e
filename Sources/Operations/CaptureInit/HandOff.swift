internal import Capture

/// What happens to the machine when the work is done.
struct HandOff: Sendable, Equatable, CustomStringConvertible {
  enum Way: String, Sendable, CaseIterable {
    case reboot, poweroff, halt
    /// The kernel that is loaded. After a dump to memory: the normal one, since anything else would lose the
    /// dump.
    case kexec
    /// A shell on the console. When it is left, the next attempt follows.
    case shell
    /// The program ends. PID 1 can't.
    case exit
  }

  var way: Way
  /// Seconds after which a shell is ended. Nil: it is when somebody leaves it.
  var limit: UInt64?

  var description: String { way.rawValue + (limit.map { ":\($0)s" } ?? "") }
}

/// The value of `final=` and `failure=`: attempts in order, one after the other, until one ends the machine.
struct HandOffs: Sendable, Equatable {
  /// Nobody needs more, and a list has an end.
  static let mostAttempts = 8
  static let form = "\(HandOff.Way.allNames), shell:TIME; up to \(mostAttempts) of them, with commas between them"

  var attempts: [HandOff]

  /// What a crash kernel's first program can't do is among them.
  var hasExit: Bool { attempts.contains { $0.way == .exit } }

  /// Nil for what is no such list.
  init?(_ text: String) {
    attempts = []
    for word in text.utf8.split(separator: 0x2c, omittingEmptySubsequences: false) {
      let parts = word.split(separator: 0x3a, maxSplits: 1, omittingEmptySubsequences: false)
      guard let way = parts.first.flatMap({ HandOff.Way(rawValue: String(decoding: $0, as: UTF8.self)) }) else { return nil }
      var limit: UInt64?
      if parts.count == 2 {
        // `none` is 0 there: no limit.
        guard way == .shell, let seconds = Limits.seconds(String(decoding: parts[1], as: UTF8.self)) else { return nil }
        limit = seconds == 0 ? nil : seconds
      }
      attempts.append(HandOff(way: way, limit: limit))
    }
    if attempts.count > HandOffs.mostAttempts { return nil }
  }

  /// What PID 1 does: it can't exit, and the machine must not stay down, so a restart ends the list. Where a
  /// kernel is loaded there is a dump in memory, or the start of one, and every way but that kernel would
  /// lose it: then that is tried first.
  static func ofFirstProcess(_ wanted: HandOffs?, isKernelLoaded: Bool) -> [HandOff] {
    var attempts = (wanted?.attempts ?? []).filter { $0.way != .exit }
    if isKernelLoaded { attempts = attempts.filter { $0.way == .shell } + [HandOff(way: .kexec)] }
    let restart = HandOff(way: .reboot)
    return attempts.last == restart ? attempts : attempts + [restart]
  }
}
