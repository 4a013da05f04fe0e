import DumpBasics
import Glibc
import Testing

@testable import LinuxSystem

@Test func aChildsStatusAndWordsComeBack() throws {
  let said = try System.run(Command("sh", ["-c", "echo out; echo err >&2; exit 3"], output: .collect))
  #expect(said == ProcessResult(end: .exited(3), output: "out\nerr"))
  #expect(try System.run(Command("true")).end == .exited(0))
  #expect(try System.run(Command("sh", ["-c", "kill -9 $$"])).end == .killed(signal: 9))
}

@Test func muchOutputNeitherBlocksNorFillsMemory() throws {
  let result = try System.run(
    Command("sh", ["-c", "head -c 1000000 /dev/zero | tr '\\0' x"], output: .collect), limitSeconds: 20)
  #expect(result.end == .exited(0))
  #expect(result.output.utf8.count == Command.outputLimit)
}

@Test func aProgramThatIsNotThereIsAnError() {
  #expect { try System.run(Command("mcore-no-such-program")) } throws: { ($0 as? DumpError)?.kind == .system(ENOENT) }
}

@Test func whatTakesTooLongIsKilled() throws {
  let start = System.monotonicNanoseconds
  #expect(try System.run(Command("sleep", ["60"]), limitSeconds: 1).end == .timedOut)
  #expect(System.monotonicNanoseconds - start < 10_000_000_000)
}

@Test func aDaemonThatHoldsTheOutputIsNotWaitedFor() throws {
  let start = System.monotonicNanoseconds
  let result = try System.run(Command("sh", ["-c", "echo ready; sleep 30 & exit 0"], output: .collect))
  #expect(result == ProcessResult(end: .exited(0), output: "ready"))
  #expect(System.monotonicNanoseconds - start < 10_000_000_000)
}

@Test func reapingOrphansLosesNoStatusThatSomebodyWaitsFor() throws {
  for status in Int32(0)..<5 {
    let result = try System.run(Command("sh", ["-c", "exit \(status)"]))
    System.reapOrphans()
    #expect(result.end == .exited(status))
  }
}
