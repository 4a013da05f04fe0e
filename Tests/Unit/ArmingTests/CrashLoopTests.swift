import DumpBasics
import Foundation
import SoftBoot
import TestSupport
import Testing

@testable import Arming

/// A machine that crashes again and again is not armed for ever.
@Suite struct CrashLoopTests {
  private func record(_ bootID: String, at time: Int64, crashes: [Int64] = []) -> ArmedRecord {
    var record = ArmedRecord(time: time, release: "6.1.0-test", bootID: bootID, nonce: "00", memory: 1)
    record.crashes = crashes
    return record
  }

  @Test func threeCrashesWithinAnHourAreALoop() {
    var earlier: ArmedRecord? = nil
    // Armed every 10 minutes, each time in another boot, and never disarmed.
    for boot in 0..<5 as Range<Int64> {
      let now = 1_000_000 + 600 * boot
      let loop = CrashLoop(earlier, bootID: "boot \(boot)", now: now)
      #expect(loop.crashes.count == min(3, Int(boot)) && loop.isLoop == (boot >= 3))
      // As arm does: with a loop the record stays as it is.
      if !loop.isLoop { earlier = record("boot \(boot)", at: now, crashes: loop.crashes) }
    }
    // An hour after the first of them there are two.
    #expect(CrashLoop(earlier, bootID: "another", now: 1_000_000 + 3600).crashes == [1_000_600, 1_001_200])
  }

  @Test func onlyOtherBootsCount() {
    #expect(CrashLoop(record("this", at: 100, crashes: [50, 60]), bootID: "this", now: 200).crashes == [50, 60])
    #expect(CrashLoop(nil, bootID: "this", now: 200).crashes.isEmpty)
    #expect(!CrashLoop(record("a", at: 0, crashes: [0, 0]), bootID: "this", now: 3600).isLoop)
  }

  @Test func anOrderlyShutdownEndsIt() throws {
    let scratch = try Scratch()
    let written = record("a", at: 100, crashes: [50, 60])
    try written.write(in: scratch.file(""))
    #expect(CrashLoop(ArmedRecord(readFrom: scratch.file("armed")), bootID: "b", now: 200).isLoop)
    try endInOrder(directory: scratch.file(""))
    #expect(CrashLoop(ArmedRecord(readFrom: scratch.file("armed")), bootID: "b", now: 200).crashes.isEmpty)
    #expect(ArmedRecord(readFrom: scratch.file("armed"))?.nonce == "00")
  }

  @Test func aClockThatWasAheadCounts() {
    #expect(CrashLoop(record("a", at: 9_000_000), bootID: "b", now: 100).crashes == [9_000_000])
  }

  @Test func theRecordIsReadAsItWasWritten() throws {
    let scratch = try Scratch()
    var written = record("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", at: 5, crashes: [1, 2])
    written.window = try RegionExtents(word: "64M@512M,2M@1G")
    written.isByReset = true
    (written.kernel, written.initrd) = ("/boot/vmlinuz with a blank", "")
    try written.text.write(toFile: scratch.file("armed"), atomically: true, encoding: .utf8)
    #expect(ArmedRecord(readFrom: scratch.file("armed")) == written)
    try "time x\n".write(toFile: scratch.file("armed"), atomically: true, encoding: .utf8)
    #expect(ArmedRecord(readFrom: scratch.file("armed")) == nil)
  }
}
