internal import DumpBasics
internal import LinuxSystem
internal import Synchronization

/// Reports on standard error: on a terminal with a bar that is redrawn in place, elsewhere (a console log, a pipe) with a
/// line now and then.
public final class ConsoleReporter: Reporter {
  enum Style: Sendable {
    case silent
    case lines
    case terminal(colour: Bool)
  }

  private struct State {
    var meter: ProgressMeter?
    /// When progress was shown last, in nanoseconds of the monotonic clock.
    var shownAt: UInt64 = 0
    /// Whether a bar stands on the current line.
    var hasBar = false
  }

  private let style: Style
  private let state = Mutex(State())

  /// Between two lines of progress, and between two drawings of the bar, in nanoseconds.
  private static let lineInterval: UInt64 = 5_000_000_000
  private static let barInterval: UInt64 = 200_000_000

  init(_ style: Style) { self.style = style }

  /// Nothing at all.
  public static func silent() -> ConsoleReporter { ConsoleReporter(.silent) }

  /// Lines only, whatever standard error is: for a console whose output is kept.
  public static func console() -> ConsoleReporter { ConsoleReporter(.lines) }

  /// A bar where standard error is a terminal; colour unless NO_COLOR is set (no-color.org) or the terminal is dumb.
  public static func standardError() -> ConsoleReporter {
    guard System.isTerminal(2) else { return ConsoleReporter(.lines) }
    let isPlain = !(System.environment("NO_COLOR") ?? "").isEmpty || System.environment("TERM") == "dumb"
    return ConsoleReporter(.terminal(colour: !isPlain))
  }

  public func message(_ text: String) {
    if case .silent = style { return }
    state.withLock { say("mcore: \(printable(text))", &$0) }
  }

  /// Silence is for progress: what is wrong is told in any case.
  public func warning(_ text: String) {
    let line = "mcore: warning: \(printable(text))"
    var isColoured = false
    if case .terminal(let colour) = style { isColoured = colour }
    state.withLock { say(isColoured ? "\u{1b}[33m\(line)\u{1b}[0m" : line, &$0) }
  }

  public func progress(done: UInt64, total: UInt64) {
    if case .silent = style { return }
    let now = System.monotonicNanoseconds
    state.withLock { state in
      // Less than before, or of another total: something new has begun.
      if let meter = state.meter, meter.total == total, meter.done <= done {
        state.meter?.done = done
      } else {
        state.meter = ProgressMeter(done: done, total: total, start: now)
        state.shownAt = now
      }
      guard let meter = state.meter else { return }
      switch style {
      case .silent: break
      case .lines:
        if now - state.shownAt < ConsoleReporter.lineInterval { return }
        state.shownAt = now
        write("mcore: \(meter.text(now: now))\n")
      case .terminal:
        let isLast = done >= total
        if !isLast, now - state.shownAt < ConsoleReporter.barInterval { return }
        if isLast, !state.hasBar { return }
        state.shownAt = now
        state.hasBar = !isLast
        write("\r\(meter.bar(now: now, columns: System.terminalColumns(2) ?? 80))\u{1b}[K" + (isLast ? "\n" : ""))
      }
    }
  }

  private func say(_ line: String, _ state: inout State) {
    write((state.hasBar ? "\r\u{1b}[K" : "") + line + "\n")
    state.hasBar = false
  }

  /// That a report can't be written has nobody to be told to.
  private func write(_ text: String) { try? File(borrowing: 2, name: "standard error").write(text) }
}

/// How far something is, as text.
struct ProgressMeter: Sendable {
  var done: UInt64
  var total: UInt64
  /// When it began, in nanoseconds of the monotonic clock, and how far it was then.
  var start: UInt64
  private let first: UInt64

  init(done: UInt64, total: UInt64, start: UInt64) {
    self.done = done
    self.total = total
    self.start = start
    first = done
  }

  /// 0 to 100. All of nothing is 100.
  var percent: UInt64 { total == 0 ? 100 : UInt64(Double(min(done, total)) / Double(total) * 100) }

  /// Bytes a second since it began; 0 while that can't be told.
  func rate(now: UInt64) -> UInt64 {
    let elapsed = now >= start ? now - start : 0
    if elapsed < 100_000_000 { return 0 }
    return UInt64(Double(done - first) / (Double(elapsed) / 1e9))
  }

  /// `345.2 MiB of 1.0 GiB, 34 %, 120.3 MiB/s, 6 s left`
  func text(now: UInt64) -> String {
    var line = "\(humanBytes(done)) of \(humanBytes(total)), \(percent) %"
    let rate = rate(now: now)
    if rate > 0 {
      line += ", \(humanBytes(rate))/s"
      if done < total { line += ", \(duration((total - done) / rate)) left" }
    }
    return line
  }

  /// `mcore: [########............] 345.2 MiB of …`, no wider than `columns`; without the bar where that is too narrow.
  func bar(now: UInt64, columns: Int) -> String {
    let text = text(now: now)
    // One column stays free, since some terminals wrap when the last one is written.
    let room = columns - 1 - "mcore: [] ".utf8.count - text.utf8.count
    guard room >= 5 else {
      return String(decoding: "mcore: \(text)".utf8.prefix(max(0, columns - 1)), as: UTF8.self)
    }
    let width = min(room, 40)
    let full = Int(percent) * width / 100
    return "mcore: [" + String(repeating: "#", count: full) + String(repeating: ".", count: width - full) + "] " + text
  }
}

/// `45 s`, `12 min 5 s`, `3 h 20 min`.
func duration(_ seconds: UInt64) -> String {
  if seconds < 60 { return "\(seconds) s" }
  if seconds < 3600 { return "\(seconds / 60) min \(seconds % 60) s" }
  return "\(seconds / 3600) h \(seconds % 3600 / 60) min"
}
