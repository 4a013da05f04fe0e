internal import DumpBasics
internal import SoftBoot

/// A machine that crashes again right after each boot must not go on so for ever: after the third crash
/// within an hour it boots without a crash kernel. A crash is a boot that was armed and ended without an
/// orderly shutdown (`disarm`, or `disarm --shutdown`), whatever ended it, and whether its dump was saved or
/// not.
struct CrashLoop {
  static let limit = 3
  static let seconds: Int64 = 3600

  /// When those boots were armed, seconds since 1970.
  let crashes: [Int64]

  /// `earlier` is the record that lies there.
  init(_ earlier: ArmedRecord?, bootID: String, now: Int64) {
    guard let earlier, !earlier.isEnded else {
      crashes = []
      return
    }
    var times = earlier.crashes
    if earlier.bootID != bootID { times.append(earlier.time) }
    // A time in the future comes from a clock that was wrong. It stays: it is a crash like others.
    times = times.filter { $0 > now || $0 > now - CrashLoop.seconds }
    crashes = Array(times.suffix(CrashLoop.limit))
  }

  var isLoop: Bool { crashes.count >= CrashLoop.limit }

  /// Why nothing is armed.
  func refusal(at path: String) -> DumpError {
    DumpError(
      "not armed: \(text), and it may go on so for ever", at: path,
      advice: "find the cause, then mcore arm --force, or mcore disarm to forget the crashes")
  }

  /// For people.
  var text: String {
    var times = ""
    for crash in crashes { times += (times.isEmpty ? "" : ", ") + UTCTime(secondsSince1970: crash).text }
    return "this machine ended \(crashes.count) times within an hour without a shutdown (armed \(times))"
  }
}
