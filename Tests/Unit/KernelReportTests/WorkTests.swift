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
