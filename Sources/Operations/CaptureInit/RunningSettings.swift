internal import Capture
internal import DumpBasics

/// Settings of the running system alone: what is done before a crash, and after one. A crash kernel passes
/// them over, so mcore-capture has no code for them.
public struct RunningSettings: Sendable, Equatable {
  /// Whole dumps that stay; 0 is all.
  public var keep = 0
  /// Days that a dump stays; 0 is for ever.
  public var keepDays = 0
  /// Bytes that old dumps make room for; 0 is none.
  public var minFree: UInt64 = 0
  /// A command that is run for each new dump.
  public var notify: String?
  /// Whether a line at login tells of new dumps.
  public var motd = true
  /// Whether a report stands beside each dump.
  public var report = true
  /// CPUs of the crash kernel; 0 is as many as there is room for.
  public var cpus = 0
  /// More words for the crash kernel's command line.
  public var append = ""
  /// What ends in a panic.
  public var panicOn = [PanicTrigger(kind: .oops)]

  /// Puts a value in its place, or returns false where it is not allowed.
  private static let keys: [(name: String, set: @Sendable (String, inout RunningSettings) -> Bool)] = [
    ("panic-on", { assign(PanicTrigger.parse($0), &$1.panicOn) }),
    ("keep", { assign($0 == "all" ? 0 : decimal($0, 1...1000).map { Int($0) }, &$1.keep) }),
    ("keep-days", { assign($0 == "all" ? 0 : decimal($0, 1...36_500).map { Int($0) }, &$1.keepDays) }),
    ("min-free", { assign(Limits.bytes($0), &$1.minFree) }),
    ("notify", { assign($0 == "none" ? .some(nil) : $0.isEmpty ? nil : .some($0), &$1.notify) }),
    ("motd", { assign(yesOrNo($0), &$1.motd) }),
    ("append", { assign($0 == "none" ? "" : $0.isEmpty || $0.utf8.contains(0x0a) ? nil : $0, &$1.append) }),
    ("cpus", { assign($0 == "auto" ? 0 : decimal($0, 1...1024).map { Int($0) }, &$1.cpus) }),
  ]

  static var names: [String] { keys.map(\.name) }

  /// In the order of places: the last word wins. What is wrong is left out, and returned.
  init(_ words: [Word], problems: inout [DumpError]) {
    for place in Place.allCases {
      for word in words where word.place == place {
        guard let (key, value) = try? SettingKey.parse(word), let own = RunningSettings.keys.first(where: { $0.name == key.name })
        else { continue }
        if !own.set(value, &self) { problems.append(key.notAllowed(value, at: word.origin)) }
      }
    }
  }
}

private func assign<Value>(_ value: Value?, _ place: inout Value) -> Bool {
  guard let value else { return false }
  place = value
  return true
}
