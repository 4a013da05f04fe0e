import DumpBasics
import Testing

/// Protects: what is not in a dump is named to the byte, whatever way it is packed.
struct AbsentRangesTests {
  private func range(_ start: UInt64, _ end: UInt64, _ reason: Absence = .level, _ pageClass: UInt32 = 1) throws -> AbsentRange {
    AbsentRange(try #require(PhysicalRange(start, end)), reason, pageClass: pageClass)
  }

  @Test func whatIsPackedComesBackWhateverItsSizesAre() throws {
    let entries = [
      try range(0, 0x1000), try range(0x1000, 0x3000, .level, 2), try range(0x3000, 0x3001, .unreadable, 0),
      try range(0x3001, 0x3002, .level, 7), try range(0x10_0000, 0x18_0000, .sourceCut, 0),
      try range(1 << 40, 1 << 52, .level, 4), try range(1 << 63, .max, .unreadable, 3),
    ]
    let packed = AbsentRanges(entries)
    #expect(Array(packed) == entries)
    #expect(Array(try AbsentRanges(encoded: packed.encoded, at: "test")) == entries)
    #expect(try AbsentRanges(encoded: packed.encoded, at: "test") == packed)
    #expect(AbsentRanges().isEmpty && Array(AbsentRanges()).isEmpty)
  }

  /// Of every reason and class there is, in every form of a range.
  @Test func everyReasonAndClassComesBack() throws {
    for reason in Absence.allCases {
      for pageClass in UInt32(0)...7 {
        let entries = [
          try range(0x1000, 0x2000, reason, pageClass), try range(0x5000, 0x6000, reason, pageClass),
          try range(0x6000, 0x6001, reason, pageClass ^ 1), try range(0x7003, 0x8000, reason, pageClass),
        ]
        #expect(Array(AbsentRanges(entries)) == entries)
      }
    }
  }

  /// The figure that a crash kernel's memory depends on (docs/performance.md): at most 3 bytes for a short
  /// range.
  @Test func shortRangesTakeTwoOrThreeBytes() throws {
    var ranges = AbsentRanges()
    for page in 0..<UInt64(1000) {
      ranges.append(try range(page * 5 << 12, (page * 5 + 1) << 12))
      ranges.append(try range((page * 5 + 1) << 12, (page * 5 + 3) << 12, .level, 2))
    }
    #expect(ranges.encoded.count == 1000 * 5 - 1, "3 with a gap before it, 2 without; the first has none")
  }

  @Test func whatTouchesIsJoinedAndWhatOverlapsIsTakenOnce() throws {
    let ranges = AbsentRanges([
      try range(0x1000, 0x2000), try range(0x2000, 0x3000), try range(0x2000, 0x2800), try range(0x2800, 0x5000, .level, 2),
    ])
    #expect(Array(ranges) == [try range(0x1000, 0x3000), try range(0x3000, 0x5000, .level, 2)])
  }

  @Test func mergingKeepsTheOrderOfAddresses() throws {
    let even = AbsentRanges(try (0..<UInt64(50)).map { try range($0 * 0x4000, $0 * 0x4000 + 0x1000) })
    let odd = try (0..<UInt64(60)).map { try range($0 * 0x4000 + 0x2000, $0 * 0x4000 + 0x3000, .unreadable, 0) }
    let all = (Array(even) + odd).sorted { $0.range.start < $1.range.start }
    #expect(Array(even.merged(with: odd)) == all)
    #expect(Array(AbsentRanges().merged(with: odd)) == odd)
    #expect(even.merged(with: []) == even)
  }

  @Test func joinedGivesLargeStretchesOnly() throws {
    let ranges = AbsentRanges([
      try range(0, 0x4000), try range(0x4000, 0x8000, .level, 2), try range(0x9000, 0xa000), try range(0xa000, 0xf000, .level, 7),
      try range(0xf000, 0x20000),
    ])
    #expect(ranges.joined(atLeast: 0x4000) { $0.pageClass <= 2 }.map(\.description) == ["0x0-0x7fff", "0xf000-0x1ffff"])
    #expect(ranges.joined(atLeast: 0x9000) { $0.pageClass <= 2 }.map(\.description) == ["0xf000-0x1ffff"])
  }

  /// Every single byte changed, and every cut: an error or other ranges, never a trap, and what comes is in
  /// order.
  @Test func damageNeverTraps() throws {
    let good = AbsentRanges([
      try range(0x1000, 0x2000), try range(0x2000, 1 << 50, .level, 2), try range(.max - 5, .max, .unreadable),
    ])
    var refused = 0
    for index in good.encoded.indices {
      for value in UInt8.min...UInt8.max {
        var bytes = good.encoded
        bytes[index] = value
        guard let ranges = try? AbsentRanges(encoded: bytes, at: "test") else {
          refused += 1
          continue
        }
        let all = Array(ranges)
        #expect(zip(all, all.dropFirst()).allSatisfy { $0.range.end <= $1.range.start })
      }
      _ = try? AbsentRanges(encoded: Array(good.encoded[..<index]), at: "test")
    }
    #expect(refused > 100)
    #expect(throws: DumpError.self) { try AbsentRanges(encoded: [0x48, 0x00], at: "test") }
    #expect(throws: DumpError.self) { try AbsentRanges(encoded: [0x48], at: "test") }
    #expect(throws: DumpError.self) {
      try AbsentRanges(encoded: [0xc0 | 0x08] + [UInt8](repeating: 0xff, count: 9) + [0x02], at: "test")
    }
    #expect(throws: DumpError.self) { try AbsentRanges(encoded: [0x40, 0x01], at: "test") }
  }
}
