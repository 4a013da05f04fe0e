import CrashedKernel
import Foundation
import PageClasses
import TestSupport
import Testing
import Workers

/// A machine that nobody has to own: sparse, made while it is read. Its fragments are those of a machine
/// after a month (SyntheticMachinePattern). 64 GiB; `mcore-bench scale` has those of 1 and 4 TiB (`make
/// test-full`).
@Suite struct Scale {
  @Test(.timeLimit(.minutes(3))) func largeMemoryIsClassifiedInBoundedMemory() throws {
    let size: UInt64 = 64 << 30
    var configuration = SyntheticMachineConfiguration(.v6_12, memory: size, seed: 11)
    configuration.nodes = 2
    let machine = SyntheticMachine(configuration)
    let kernel = CrashedKernel(machine)
    let before = try Scale.memory("VmRSS")
    // Makes the peak what is used now (proc(5), clear_refs).
    try Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))
    let classes = PageClassification(kernel, work: OrderedWork(threads: 2))
    let peak = try Scale.memory("VmHWM") - before
    // A sixteenth of what 1 TiB may take beyond the program itself, and the buffers of two threads.
    #expect(peak < 8 << 20, "\(peak >> 10) KiB")
    #expect(classes.runs.packedBytes <= ClassRuns.byteLimit(pages: size / 4096))

    // There are such pages, and they are named, in more places than have a line each; nothing else is.
    #expect(classes.findings.prefix(64).allSatisfy { $0.what.contains("broken hardware") })
    #expect(classes.findings.count == 128 && classes.findingFrames.allSatisfy { !$0.isEmpty })
    #expect(classes.checks.allSatisfy { $0.failed == 0 && $0.keptPages == 0 || $0.check == .offlinePages })
    #expect(classes.counts.total > size / 4096 * 9 / 10)
    let truth = machine.classCounts()
    #expect(classes.counts[.free] == truth[.free] ?? 0)
    // A compound page with a broken page in it is taken for broken as a whole: not many are.
    let users = truth[.user] ?? 0
    #expect((users - users / 10_000...users).contains(classes.counts[.user]))
  }

  /// A line of /proc/self/status, in bytes.
  private static func memory(_ key: String) throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(key + ":") })
    return try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) }) * 1024
  }
}
