internal import DumpBasics
internal import LinuxSystem
internal import Synchronization

/// Tells a person, a console or a log how the work goes, on standard error.
///
/// On a terminal progress is a line that is drawn over and over; elsewhere it is a line at most every 5 s, so
/// that a serial console is not what takes the time.
public final class ConsoleReporter: Reporter {
  private let quiet: Bool
  private let isTerminal: Bool
  private let colour: Bool
  private let state: Mutex<State>

  private struct State: Sendable {
    var started: UInt64
    var lastShown: UInt64
    var lineIsOpen = false
    var lastDone: UInt64 = 0
  }

  private static let second: UInt64 = 1_000_000_000

  /// `quiet`: only warnings. `allowTerminal`: false where standard error is a console that is also a log, as
  /// in an initramfs.
  public init(quiet: Bool = false, allowTerminal: Bool = true) {
    self.quiet = quiet
    isTerminal = allowTerminal && System.isTerminal(2)
    colour = isTerminal && System.environment("NO_COLOR") == nil
    let now = System.monotonicNanoseconds
    state = Mutex(State(started: now, lastShown: now))
  }

  public func message(_ text: String) {
    if !quiet { line("mcore: \(printable(text))") }
  }

  public func warning(_ text: String) {
    line(colour ? "mcore: \u{1b}[33mwarning:\u{1b}[0m \(printable(text))" : "mcore: warning: \(printable(text))")
  }

  public func progress(done: UInt64, total: UInt64) {
    if quiet { return }
    let now = System.monotonicNanoseconds
    let interval = isTerminal ? ConsoleReporter.second / 10 : 5 * ConsoleReporter.second
    let text = state.withLock { state -> String? in
      // Work that begins anew counts its own time.
      if done < state.lastDone { state.started = now }
      state.lastDone = done
      let finished = done >= total && isTerminal && state.lineIsOpen
      guard finished || now - state.lastShown >= interval else { return nil }
      state.lastShown = now
      state.lineIsOpen = isTerminal
      return progressText(done: done, total: total, elapsed: now - state.started, bar: isTerminal)
    }
    guard let text else { return }
    write(isTerminal ? "\r\u{1b}[K\(text)" : "mcore: \(text)\n")
  }

  private func line(_ text: String) {
    let wasOpen = state.withLock { state in
      defer { state.lineIsOpen = false }
      return state.lineIsOpen
    }
    write((wasOpen ? "\r\u{1b}[K" : "") + text + "\n")
  }

  /// That nobody hears it is no reason to stop.
  private func write(_ text: String) { try? File(borrowing: 2, name: "standard error").write(text) }
}

/// `[######......]  42 %  1.2 GiB of 2.9 GiB, 310.4 MiB/s, 5 s left`; without the bar off a terminal.
/// `elapsed` is in nanoseconds.
func progressText(done: UInt64, total: UInt64, elapsed: UInt64, bar: Bool) -> String {
  let share = total == 0 ? 100 : Int(min(100, done / max(1, total / 100)))
  var text = "\(share) %  \(humanBytes(done)) of \(humanBytes(total))"
  let milliseconds = max(1, elapsed / 1_000_000)
  if done > 0, elapsed > 100_000_000 {
    let rate = done / milliseconds * 1000
    text += ", \(humanBytes(rate))/s"
    if rate > 0, done < total { text += ", \((total - done) / rate) s left" }
  }
  if bar {
    let filled = share * 20 / 100
    text = "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: 20 - filled) + "]  " + text
  }
  return text
}
