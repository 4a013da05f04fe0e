/// What besides a panic is to end in one, so that it is dumped: a word of `panic-on=`. `mcore arm` sets it;
/// a crash kernel has no use for it.
public struct PanicTrigger: Sendable, Equatable {
  public enum Kind: String, Sendable, CaseIterable {
    case oops, softlockup, hardlockup, nmi, oom, warn, sysrq
    case hungTask = "hung-task"
    case rcuStall = "rcu-stall"
  }

  public var kind: Kind
  /// Of `hung-task:300s`: after so many seconds.
  public var seconds: UInt64?

  public var text: String { kind.rawValue + (seconds.map { ":\($0)s" } ?? "") }

  static let form =
    "none, or some of oops, softlockup, hardlockup, hung-task[:SECONDSs], nmi, rcu-stall, oom, warn, sysrq, with commas between them"

  /// Nil where a word is wrong.
  static func parse(_ list: String) -> [PanicTrigger]? {
    if list == "none" { return [] }
    var triggers: [PanicTrigger] = []
    for word in list.utf8.split(separator: 0x2c, omittingEmptySubsequences: false) {
      let parts = word.split(separator: 0x3a, maxSplits: 1, omittingEmptySubsequences: false).map { String(Substring($0)) }
      guard let kind = Kind(rawValue: parts[0]) else { return nil }
      var trigger = PanicTrigger(kind: kind)
      if parts.count == 2 {
        guard kind == .hungTask, parts[1].utf8.last == 0x73, let seconds = UInt64(String(Substring(parts[1].utf8.dropLast()))),
          (1...86_400).contains(seconds), parts[1].utf8.first != 0x2b
        else { return nil }
        trigger.seconds = seconds
      }
      if !triggers.contains(where: { $0.kind == kind }) { triggers.append(trigger) }
    }
    return triggers
  }
}
