import DumpBasics
import Foundation
import Testing

@testable import LinuxSystem

/// Protects: a program that is fed neither blocks nor outlives the work, whatever it does.
@Suite(.serialized) struct PipedChildTests {
  private let block = [UInt8](repeating: 7, count: 100_000)

  private func child(_ script: String) throws -> PipedChild {
    try PipedChild(Command("sh", ["-c", script], output: .collect))
  }

  private func write(_ child: PipedChild, _ count: Int, stall: UInt64) throws {
    for _ in 0..<count {
      try block.withUnsafeBytes { try child.write($0, stall: stall) }
    }
  }

  @Test func itGetsEveryByte() throws {
    let child = try child("wc -c; exit 3")
    try write(child, 20, stall: 60)
    #expect(try child.wait(stall: 60) == ProcessResult(end: .exited(3), output: "2000000"))
  }

  @Test func oneThatTalksWhileItIsFedIsHeard() throws {
    // More than a pipe holds, before it reads a byte.
    let child = try child("head -c 1000000 /dev/zero | tr '\\0' x; cat >/dev/null")
    try write(child, 20, stall: 60)
    let result = try child.wait(stall: 60)
    #expect(result.end == .exited(0) && result.output.utf8.count == Command.outputLimit)
  }

  @Test func oneThatStopsReadingIsToldOf() throws {
    let child = try child("exec sleep 1000")
    #expect { try write(child, 20, stall: 1) } throws: { ($0 as? DumpError)?.kind == .system(ETIMEDOUT) }
    _ = child.stop()
  }

  @Test func oneThatEndsEarlySaysWhy() throws {
    let child = try child("head -c 10 >/dev/null; echo no more; exit 5")
    #expect { try write(child, 100, stall: 60) } throws: { ($0 as? DumpError)?.kind == .system(EPIPE) }
    #expect(try child.wait(stall: 60) == ProcessResult(end: .exited(5), output: "no more"))
  }

  @Test func whatItStartedEndsWithIt() throws {
    let scratch = try Scratch()
    let child = try child(
      "sleep 1000 & echo $! > \(scratch.file("pid.new")); mv \(scratch.file("pid.new")) \(scratch.file("pid")); wait")
    while !FileManager.default.fileExists(atPath: scratch.file("pid")) { System.pause(milliseconds: 5) }
    let text = try String(contentsOfFile: scratch.file("pid"), encoding: .utf8)
    let pid = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    #expect(kill(pid, 0) == 0)
    _ = child.stop()
    // Gone, or a zombie that init has yet to let go.
    let isGone = {
      kill(pid, 0) != 0 || ((try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8))?.contains(") Z ") ?? true)
    }
    for _ in 0..<1000 where !isGone() { System.pause(milliseconds: 5) }
    #expect(isGone())
  }

  @Test func aProgramThatIsNotThereIsAnError() {
    #expect { try PipedChild(Command("mcore-no-such-program")) } throws: { ($0 as? DumpError)?.kind == .system(ENOENT) }
  }

  @Test func aChildThatToldItsStatusNeedNotEnd() throws {
    let start = System.monotonicNanoseconds
    let result = try System.run(Command("sh", ["-c", "printf '\\003' >&3; exec sleep 1000"], tellsStatus: true))
    #expect(result.end == .exited(3))
    #expect(System.monotonicNanoseconds - start < 60_000_000_000)
    #expect(try System.run(Command("sh", ["-c", "exit 4"], tellsStatus: true)).end == .exited(4))
  }
}
