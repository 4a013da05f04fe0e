import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import Arming
@testable import CaptureInit

/// What ends in a panic: set by arm, and put back as it was.
@Suite(.serialized) struct TriggersTests {
  private let fake: FakeMachine
  private let machine: Machine

  init() throws {
    fake = try FakeMachine()
    machine = Machine(root: fake.request.root)
    for (name, value) in [
      ("panic_on_oops", "0"), ("hung_task_panic", "0"), ("hung_task_timeout_secs", "120"), ("sysrq", "438"),
      ("softlockup_panic", "1"),
    ] { try fake.write("/proc/sys/kernel/\(name)", value + "\n") }
  }

  private func triggers(_ list: String) throws -> [PanicTrigger] { try #require(PanicTrigger.parse(list)) }
  private func value(_ name: String) -> String? { machine.line("/proc/sys/kernel/\(name)") }

  @Test func theyAreSetAndPutBack() throws {
    let (first, problems) = machine.set(try triggers("oops,hung-task:30s,sysrq,softlockup"), earlier: [])
    #expect(problems.isEmpty && first.count == 4 && first.map(\.word).contains("kernel/hung_task_timeout_secs=120:30"))
    #expect(value("panic_on_oops") == "1" && value("hung_task_timeout_secs") == "30" && value("sysrq") == "446")
    #expect(first.compactMap { Sysctl($0.word) } == first)
    // Armed again with less: what is no longer wanted goes, what stays keeps its old value.
    let (second, _) = machine.set(try triggers("oops"), earlier: first)
    #expect(second == [Sysctl("kernel/panic_on_oops", before: "0", after: "1")])
    #expect(value("hung_task_panic") == "0" && value("hung_task_timeout_secs") == "120" && value("sysrq") == "438")
    #expect(value("softlockup_panic") == "1")
    machine.putBack(second)
    #expect(value("panic_on_oops") == "0")
  }

  @Test func whatSomebodyChangedSinceStays() throws {
    let (set, _) = machine.set(try triggers("hung-task:30s"), earlier: [])
    try fake.write("/proc/sys/kernel/hung_task_timeout_secs", "60\n")
    machine.putBack(set)
    #expect(value("hung_task_panic") == "0" && value("hung_task_timeout_secs") == "60")
  }

  @Test func aKernelWithoutOneIsTold() throws {
    let (set, problems) = machine.set(try triggers("warn,oops"), earlier: [])
    #expect(problems == ["this kernel has no kernel/panic_on_warn"] && set.count == 1)
    // Where every crash by sysrq is allowed there is nothing to add.
    try fake.write("/proc/sys/kernel/sysrq", "1\n")
    #expect(machine.set(try triggers("sysrq"), earlier: []).set.isEmpty && value("sysrq") == "1")
  }

  @Test func words() throws {
    #expect(try triggers("none") == [] && triggers("oops,oops").count == 1)
    #expect(try triggers("hung-task:300s,rcu-stall").map(\.text) == ["hung-task:300s", "rcu-stall"])
    for list in [
      "", "oops,", "panic", "hung-task:", "hung-task:5", "hung-task:0s", "hung-task:+5s", "oops:5s", "hung-task:99999999s",
    ] {
      #expect(PanicTrigger.parse(list) == nil, "\(list)")
    }
    for word in ["", "x", "kernel/x=1", "kernel/x=1:y", "../x=1:2"] { #expect(Sysctl(word) == nil, "\(word)") }
  }
}
