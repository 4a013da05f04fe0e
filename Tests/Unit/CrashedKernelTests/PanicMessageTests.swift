import CrashedKernel
import DumpBasics
import Testing

@Suite struct PanicMessageTests {
  private func reason(_ lines: String...) throws -> String? {
    var ring = SyntheticRing(countBits: 8, sizeBits: 14)
    for line in lines { ring.add(line, at: 1_000_000_000) }
    return try ring.log().panicMessage
  }

  @Test func aPanicIsTheReason() throws {
    #expect(
      try reason("sysrq: Trigger a crash", "Kernel panic - not syncing: sysrq triggered crash", "CPU: 0 PID: 1")
        == "Kernel panic - not syncing: sysrq triggered crash")
  }

  @Test func aPanicThatOnlyFollowsComesWithItsCause() throws {
    #expect(
      try reason(
        "BUG: kernel NULL pointer dereference, address: 0000000000000000", "#PF: supervisor write access in kernel mode",
        "Oops: 0002 [#1] PREEMPT SMP", "Kernel panic - not syncing: Fatal exception")
        == "Kernel panic - not syncing: Fatal exception (BUG: kernel NULL pointer dereference, address: 0000000000000000)")
  }

  @Test func withoutAPanicTheLastBugOrOopsCounts() throws {
    #expect(
      try reason("watchdog: BUG: soft lockup - CPU#1 stuck for 22s!") == "watchdog: BUG: soft lockup - CPU#1 stuck for 22s!")
    #expect(
      try reason("Unable to handle kernel paging request at virtual address dead", "Internal error: Oops: 96000004 [#1] SMP")
        == "Unable to handle kernel paging request at virtual address dead")
    #expect(
      try reason("BUG: old", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "Oops: general protection fault")
        == "Oops: general protection fault")
    #expect(try reason("sysrq: Trigger a crash") == "sysrq: Trigger a crash")
  }

  @Test func anExceptionByItsNameIsAReasonAndComesAfterTheBugThatLedToIt() throws {
    #expect(try reason("invalid opcode: 0000 [#1] PREEMPT SMP NOPTI") == "invalid opcode: 0000 [#1] PREEMPT SMP NOPTI")
    #expect(try reason("kernel BUG at mm/slub.c:440!", "invalid opcode: 0000 [#1] SMP") == "kernel BUG at mm/slub.c:440!")
  }

  @Test func aLogWithoutAReasonHasNone() throws {
    #expect(try reason("Linux version 6.1", "debug: BUGS are bad", "Oops") == nil)
    #expect(try reason() == nil)
  }

  @Test func itIsShortAndHasNoControlCharacters() throws {
    let reason = try reason("Kernel panic - not syncing: \u{1b}[31m" + String(repeating: "x", count: 1000))
    #expect(reason?.utf8.count == 250)
    #expect(reason?.utf8.contains(0x1b) == false)
  }
}
