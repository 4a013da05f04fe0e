import CoreEncoding
import Foundation
import TestSupport
import Testing

@testable import Reading

/// Options of `mcore dmesg`, on the log of a machine.
@Suite struct DmesgTests {
  @Test(
    arguments: [
      ("err", [3]), ("err,info", [3, 6]), ("err+", [0, 1, 2, 3]), ("+err", [3, 4, 5, 6, 7]), ("emerg+", [0]), ("+debug", [7]),
      ("+emerg,debug", [0, 1, 2, 3, 4, 5, 6, 7]),
    ] as [(String, Set<UInt8>)])
  func levelsAreThoseOfDmesg(text: String, levels: Set<UInt8>) { #expect(DmesgOptions.levels(text) == levels) }

  @Test(arguments: ["", "+", "+err+", "error", "err,", "3", "err +"])
  func anotherWordIsNoLevel(text: String) { #expect(DmesgOptions.levels(text) == nil) }

  @Test func secondsHaveSixDecimals() {
    #expect(JSON.seconds(1_234_567_891).text() == "1.234567")
    #expect(JSON.seconds(7).text() == "0.000000")
    #expect(JSON.seconds(60_000_001_000).text() == "60.000001")
  }
}
