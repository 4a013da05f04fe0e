import DumpBasics
import Foundation
import TestSupport
import Testing

/// The builder's truth against makedumpfile's: a machine that both understand alike is no invention of ours.
///
/// Debian 12's makedumpfile 1.7.2 knows layouts up to 6.2. Later generations were compared by hand with 1.7.8
/// in a root of sid, all equal; `scripts/in-sid.sh` needs root and is not for unit tests.
@Suite struct Judge {
  static let tool = "/usr/bin/makedumpfile"

  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: Judge.tool)), arguments: [KernelGeneration.v5_10, .v6_1])
  func makedumpfileCountsTheSame(_ generation: KernelGeneration) throws {
    var configuration = SyntheticMachineConfiguration(generation, memory: 256 << 20, lowMemory: 128 << 20, seed: 21)
    configuration.nodes = 2
    configuration.pageMap = .mixed
    let machine = SyntheticMachine(configuration)
    let scratch = try Scratch()
    try machine.writeCore(to: scratch.file("vmcore"))
    let report = try Judge.run(["--message-level", "31", "-d", "31", scratch.file("vmcore"), scratch.file("out")])
    let names: [(SyntheticClass, String)] = [
      (.cache, "Non-private cache pages"), (.cachePrivate, "Private cache pages"), (.user, "User process data pages"),
      (.free, "Free pages"), (.hwpoison, "Hwpoison pages"), (.offline, "Offline pages"),
    ]
    let counts = machine.classCounts()
    for (pageClass, name) in names {
      #expect(Judge.number(name, in: report) == counts[pageClass] ?? 0, "\(generation), \(name)")
    }
  }

  /// Standard output and error together.
  private static func run(_ arguments: [String]) throws -> String {
    let process = Process()
    // A time limit: on what it does not understand makedumpfile can run for ever.
    process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
    process.arguments = ["60", tool] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: output, as: UTF8.self)
  }

  /// The hex number in a line `name : 0x…`.
  private static func number(_ name: String, in report: String) -> UInt64? {
    for line in report.split(separator: "\n") {
      let parts = line.split(separator: ":").map { $0.trimmingCharacters(in: .whitespaces) }
      if parts.count == 2, parts[0] == name { return UInt64(parts[1].dropFirst(2), radix: 16) }
    }
    return nil
  }
}
