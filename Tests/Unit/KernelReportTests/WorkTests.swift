import Testing

@testable import KernelReport

/// Workqueues, requests and networks: what can be told without a kernel.
@Suite struct WorkTests {
  /// 65 seconds after the boot, at each rate that kernels have.
  @Test(arguments: [100, 250, 300, 1000] as [UInt64]) func ticksAreTimeAtWhateverRate(_ rate: UInt64) throws {
    let ticks = 1 << 32 - 300 * rate + 65 * rate
    let made = try #require(Ticks(ticks: ticks, clock: 65_000_000_000))
    #expect(made.since(ticks - 12 * rate) == 12 * rate * (1_000_000_000 / rate))
    #expect(made.since(ticks + 1) == nil)
  }

  @Test func ticksThatFitNoRateAreNotTime() {
    #expect(Ticks(ticks: 1 << 32, clock: 65_000_000_000) == nil)
    #expect(Ticks(ticks: 0, clock: 65_000_000_000) == nil)
    #expect(Ticks(ticks: .max, clock: .max) == nil)
  }

  @Test func ofManyCPUsThoseWithTimersAreShownTheLateOnesFirst() {
    func wheel(_ cpu: Int, count: Int, overdue: UInt64? = nil) -> Timers.Wheel {
      Timers.Wheel(cpu: cpu, count: count, first: [], overdue: overdue)
    }
    let idle = (0..<100).map { wheel($0, count: 0) }
    let few = idle + (100..<110).map { wheel($0, count: 3) }
    #expect(few.shown.map(\.cpu) == Array(100..<110))
    #expect(few.more == nil)
    let many = few + (110..<120).map { wheel($0, count: 1) } + [wheel(120, count: 1, overdue: 11_000_000_000)]
    #expect(many.shown.map(\.cpu) == [120] + Array(100..<115))
    #expect(many.more == "… and 5 more CPUs")
  }

  @Test func addressesOfIPv6AreShort() {
    func text(_ groups: [UInt16]) -> String {
      NetworkPicture.text(ofSix: groups.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] })
    }
    #expect(text([0, 0, 0, 0, 0, 0, 0, 1]) == "::1")
    #expect(text([0, 0, 0, 0, 0, 0, 0, 0]) == "::")
    #expect(text([0xfe80, 0, 0, 0, 0x5054, 0xff, 0xfe12, 0x3456]) == "fe80::5054:ff:fe12:3456")
    #expect(text([0x2001, 0xdb8, 0, 1, 0, 0, 0, 0]) == "2001:db8:0:1::")
    #expect(text([1, 0, 2, 0, 3, 0, 4, 0]) == "1:0:2:0:3:0:4:0")
  }
}
