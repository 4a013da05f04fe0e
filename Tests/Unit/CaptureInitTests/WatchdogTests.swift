import Capture
import DumpBasics
import Foundation
import LinuxSystem
import Synchronization
import Testing

@testable import CaptureInit

private let second: UInt64 = 1_000_000_000

@Test func aWatchdogIsFedWhileTheWorkGoesForwardAndOnlyThen() {
  var rule = FeedingRule(patience: 10 * second, count: 7, now: 100 * second)
  func isFed(_ count: UInt64, _ now: UInt64) -> Bool { rule.mayFeed(count: count, now: now) }
  #expect(isFed(7, 110 * second))
  #expect(!isFed(7, 110 * second + 1))
  #expect(!isFed(7, 500 * second))
  // A step after a long time: it was slow, not stuck.
  #expect(isFed(8, 600 * second))
  #expect(isFed(8, 610 * second))
  #expect(!isFed(8, 611 * second))
  // Any change is a step, whatever the count wraps to; and a clock that goes back is no reason not to feed.
  #expect(isFed(0, 700 * second))
  #expect(isFed(0, 699 * second))
}

@Test func whatCountsAsAWatchdog() {
  let names = ["null", "watchdog", "watchdog0", "watchdog12", "watchdogs", "watchdog0a"]
  #expect(Watchdogs.names(among: names) == ["watchdog0", "watchdog12"])
  #expect(Watchdogs.names(among: ["tty", "watchdog"]) == ["watchdog"])
  #expect(Watchdogs.names(among: ["tty", "watchdog-x"]) == [])
}

/// Keeps what was told.
private final class Told: Reporter {
  let lines = Mutex<[String]>([])
  func message(_ text: String) { lines.withLock { $0.append(text) } }
  func warning(_ text: String) { lines.withLock { $0.append("warning: \(text)") } }
  func progress(done: UInt64, total: UInt64) {}
}

/// A directory with files in the place of watchdogs.
private final class StandIns {
  let path = NSTemporaryDirectory() + "mcore-watchdog-" + UUID().uuidString
  init(_ names: String...) throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    for name in names { _ = FileManager.default.createFile(atPath: "\(path)/\(name)", contents: nil) }
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }
  func written(_ name: String) -> [UInt8] { Array((try? Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)"))) ?? Data()) }
}

/// Waits for what a thread has to do; false when it takes longer than 20 s.
private func eventually(_ condition: () -> Bool) -> Bool {
  for _ in 0..<4000 {
    if condition() { return true }
    System.pause(milliseconds: 5)
  }
  return false
}

@Test func everyWatchdogIsFedUntilTheFeederIsLetGoAndNeverDisarmedByIt() throws {
  let devices = try StandIns("watchdog0", "watchdog1", "watchdog", "null")
  let told = Told()
  var feeder: WatchdogFeeder?
  do {
    let watchdogs = try #require(Watchdogs(in: devices.path, told))
    #expect(watchdogs.paths == "\(devices.path)/watchdog0, \(devices.path)/watchdog1")
    feeder = WatchdogFeeder(watchdogs, patience: 3600, interval: 1, told)
  }
  #expect(eventually { devices.written("watchdog0").count > 5 && devices.written("watchdog1").count > 5 })
  withExtendedLifetime(feeder) {}
  feeder = nil
  let left = devices.written("watchdog0")
  System.pause(milliseconds: 50)
  #expect(devices.written("watchdog0") == left)
  #expect(left.allSatisfy { $0 == 0 })
  #expect(devices.written("watchdog").isEmpty && devices.written("null").isEmpty)
  #expect(told.lines.withLock { $0 }.isEmpty)
}

@Test func aStuckCaptureIsNotFedUntilItGoesOn() throws {
  let devices = try StandIns("watchdog0")
  let told = Told()
  let watchdogs = try #require(Watchdogs(in: devices.path, told))
  // No patience at all: one period without a step is too long.
  let feeder = WatchdogFeeder(watchdogs, patience: 0, interval: 1, told)
  #expect(eventually { !told.lines.withLock { $0 }.isEmpty })
  let stuck = devices.written("watchdog0").count
  System.pause(milliseconds: 50)
  #expect(devices.written("watchdog0").count == stuck)
  #expect(told.lines.withLock { $0 } == ["warning: no progress for 0 s: \(devices.path)/watchdog0 is not fed until there is"])
  // The work goes on, and with it the feeding.
  #expect(
    eventually {
      Activity.step()
      return devices.written("watchdog0").count > stuck + 3
    })
  withExtendedLifetime(feeder) {}
}

@Test func disarmingIsALastV() throws {
  let devices = try StandIns("watchdog0")
  do {
    let watchdogs = try #require(Watchdogs(in: devices.path, Told()))
    watchdogs.feed()
    watchdogs.allowDisarming()
  }
  #expect(devices.written("watchdog0") == [0, 0x56])
}

@Test func whereThereIsNoneNothingIsDone() throws {
  let devices = try StandIns("null")
  #expect(Watchdogs(in: devices.path, Told()) == nil)
  #expect(Watchdogs(in: devices.path + "/missing", Told()) == nil)
  var off = Settings(Words.ofArguments(["watchdog=off"]))
  #expect(off.watchdog.value == .off && off.problems.isEmpty)
  #expect(Watchdogs.ofCrashKernel(off, Told()) == nil)
  off = Settings(Words.ofArguments(["watchdog=no"]))
  #expect(off.watchdog.value == .auto && off.problems.first?.description.contains("allowed: auto, off") == true)
}
