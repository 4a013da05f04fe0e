import CrashedKernel
import DumpBasics
import DumpPlan
import Foundation
import LinuxSystem
import PageClasses
import PageSelection
import TestSupport
import Workers

/// Memory that grows with a machine's memory: classification, selection and plan of a simulated one, sparse
/// and made while it is read. Its fragments are those of a machine after a month (SyntheticMachinePattern).
/// One thread, as in a crash kernel.
enum Scale {
  /// What a whole run may take: 24 MiB, and 40 MiB for each TiB.
  static func limit(_ size: UInt64) -> Int { 24 << 20 + Int(size >> 20) * 40 }
  /// mcore-capture with one thread on a small machine (docs/performance.md, "Memory"). What this program is
  /// itself, with the simulated machine, does not count.
  static let capture = 8 << 20

  /// - Throws: when it takes more, or a class is lost for lack of room.
  static func measure(gibibytes: UInt64) throws {
    System.returnLargeBuffersWhenFreed()
    let size = gibibytes << 30
    var configuration = SyntheticMachineConfiguration(.v6_12, memory: size, seed: 11)
    configuration.nodes = 2
    let machine = SyntheticMachine(configuration)
    let kernel = CrashedKernel(machine)
    let before = try memory("VmRSS")
    // Makes the peak what is used now (proc(5), clear_refs).
    try Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))
    let started = seconds(CLOCK_MONOTONIC)
    let work = OrderedWork(threads: 1)
    func said(_ bytes: Int) -> String { "\((bytes - before) >> 10) KiB" }
    var lost: UInt64 = 0
    func selected() throws -> PageSelection {
      let classes = PageClassification(kernel, work: work)
      let wall = seconds(CLOCK_MONOTONIC) - started
      print("machine              \(gibibytes) GiB, \(classes.counts.total) pages, made and classified in \(Int(wall)) s")
      print("classification       \(said(try memory("VmHWM"))) more than before (\(classes.runs.packedBytes) bytes of runs)")
      lost = classes[.runMemory].keptPages
      return PageSelection(
        .kern, machine, witnesses: [], classes: classes, core: KernelCore(kernel, classes), pageSize: kernel.pageSize)
    }
    let selection = try selected()
    System.returnFreedMemory()
    print(
      "and selection        \(said(try memory("VmHWM"))) (\(selection.kept.count) pieces kept, "
        + "\(selection.absent.encoded.count) bytes of what is not)")
    let zeros = try ZeroScan(selection.kept.lazy.map(\.range), machine, kernel.pageSize, work) { _ in }
    System.returnFreedMemory()
    let plan = try DumpPlan(
      consume selection, machine, zeros: zeros, tool: "mcore-bench", crashTime: 0, findings: [], classes: [], checks: [])
    let peak = try memory("VmHWM")
    print("and plan             \(said(peak)) (\(plan.header.count) bytes of headers and notes)")
    print("limit                \((limit(size) - capture) >> 10) KiB")
    if lost > 0 { throw DumpError("\(lost) pages lost their class for lack of room") }
    if peak - before > limit(size) - capture { throw DumpError("more memory than the limit") }
  }

  /// A line of /proc/self/status, in bytes.
  private static func memory(_ key: String) throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = text.split(separator: "\n").first { $0.hasPrefix(key + ":") }
    guard let number = line?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
      throw DumpError("no \(key)", at: "/proc/self/status")
    }
    return number * 1024
  }
}
