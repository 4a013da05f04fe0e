// The damage campaign on real dumps and synthetic machines: docs/verification.md.
//
// usage: mcore-mutations [--count N] [--seed N] [--threads N] [--only NUMBER] [--machines MIB] [--patches]
// [--synthetic] [--arm64] [--losses] [--files] [DUMP ...]
//
// With --files the files themselves are damaged: headers, notes, single bytes, torn sectors, ends that are missing.
//
// N mutations for each DUMP, and as many over all synthetic machines together (always, without any DUMP; with
// --arm64 those of arm64).
// Exit status 1 when a rule is broken.
import DumpBasics
import DumpSource
import FileCampaign
import Foundation
import MutationCampaign
import TestSupport

struct Runner {
  var count = 2000
  var seed: UInt64 = 1
  var campaign = Campaign()
  var dumps: [String] = []
  var synthetic = false
  /// Of the synthetic machines.
  var architecture = Architecture.x86_64
  var showsLosses = false
  /// One mutation alone, to look into.
  var only: Int?
  /// The files are damaged, not the memory in them.
  var isOfFiles = false
  /// Only say what to write where, for other programs to be tried on.
  var patches = false
  /// Bytes of memory of a synthetic machine.
  var machineSize: UInt64 = 384 << 20
  var totals = CampaignTotals()
  /// Of the whole process, whatever the number of threads.
  static let memoryLimit: UInt64 = 1 << 30

  init(_ arguments: [String]) {
    var words = arguments.dropFirst()
    while let word = words.popFirst() {
      switch word {
      case "--count": count = words.popFirst().flatMap { Int($0) } ?? count
      case "--seed": seed = words.popFirst().flatMap { UInt64($0) } ?? seed
      case "--threads": campaign.threads = words.popFirst().flatMap { Int($0) } ?? campaign.threads
      case "--only": only = words.popFirst().flatMap { Int($0) }
      case "--machines": machineSize = words.popFirst().flatMap { UInt64($0) }.map { $0 << 20 } ?? machineSize
      case "--patches": patches = true
      case "--synthetic": synthetic = true
      case "--arm64": architecture = .arm64
      case "--files": isOfFiles = true
      case "--losses": showsLosses = true
      default: dumps.append(word)
      }
    }
  }

  private func say(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

  private mutating func damage(_ source: any DumpSource, _ name: String, _ count: Int) throws {
    let started = Date()
    let image = try CampaignImage(source, name: name, seed: seed)
    if patches {
      for number in 0..<count { if let line = image.patchLine(number) { say(line) } }
      return
    }
    let found = campaign.run(image, only.map { $0..<$0 + 1 } ?? 0..<count)
    say(
      "\(name): \(image.pages) pages, \(image.keptPages) kept undamaged; \(found.mutations) mutations, \(found.silentLosses) silent losses, "
        + "\(found.violationCount) violations, \(Int(Date().timeIntervalSince(started))) s")
    if showsLosses { for finding in image.findings { say("  undamaged: \(finding)") } }
    for violation in found.violations.prefix(40) { say("  \(violation)") }
    if showsLosses { for loss in found.losses.prefix(40) { say("  reported loss: \(loss)") } }
    totals.merge(found)
  }

  /// Damages files, and prints a row for each kind of damage.
  private func damageFiles() throws -> Int32 {
    var all: [FileMutation.Kind: FileTotals] = [:]
    for path in dumps {
      let name = path.split(separator: "/").last.map { String($0) } ?? path
      let started = Date()
      let campaign = try FileCampaign(try FileImage(path, name: name, pageLimit: 2048), directory: "/dev/shm", seed: seed)
      defer { campaign.removeCopy() }
      if patches {
        for number in 0..<count { if let line = campaign.patchLine(number) { say(line) } }
        continue
      }
      let found = try campaign.run(only.map { $0..<$0 + 1 } ?? 0..<count)
      let sum = found.values.reduce(into: FileTotals()) { $0.merge($1) }
      say("\(name): \(sum.row), slowest \(sum.slowest) s, \(Int(Date().timeIntervalSince(started))) s")
      for violation in sum.violations.prefix(40) { say("  \(violation)") }
      for (kind, totals) in found { all[kind, default: FileTotals()].merge(totals) }
    }
    if patches { return 0 }
    say(
      "\n| damage | mutations | named, nothing lost | named, part of the unit lost | without effect | no dump | silent losses | violations |"
    )
    say("|---|---|---|---|---|---|---|---|")
    for kind in FileMutation.Kind.allCases { if let totals = all[kind] { say("| \(kind) | \(totals.row) |") } }
    let sum = all.values.reduce(into: FileTotals()) { $0.merge($1) }
    say("| all | \(sum.row) |")
    return sum.violations.isEmpty && sum.silentLosses == 0 && sum.mutations > 0 ? 0 : 1
  }

  /// The exit status.
  mutating func run() -> Int32 {
    do {
      if isOfFiles { return try damageFiles() }
      for path in dumps { try damage(try openDump(path), path.split(separator: "/").last.map { String($0) } ?? path, count) }
      if synthetic || dumps.isEmpty {
        let machines = SyntheticMachine.campaign(architecture, seed: seed, memory: machineSize)
        for machine in machines { try damage(machine, machine.name, (count + machines.count - 1) / machines.count) }
      }
    } catch {
      say("mcore-mutations: error: \(error)")
      return 1
    }
    if patches { return 0 }
    let peak = peakMemory()
    say("\n\(totals.tables)\n\npeak memory \(peak >> 20) MiB, limit \(Runner.memoryLimit >> 20) MiB")
    return totals.violationCount == 0 && totals.mutations > 0 && peak <= Runner.memoryLimit ? 0 : 1
  }
}

var runner = Runner(CommandLine.arguments)
exit(runner.run())
