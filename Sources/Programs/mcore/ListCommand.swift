import ArgumentParser
import Arming
import Capture
import DumpBasics
import LinuxSystem
import Reading

struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the dumps of this machine, the newest first.",
    discussion: """
      Of each place: a directory with dumps, or a raw disk (raw:/dev/DISK) on which one waits. Without any: /var/crash, the \
      directories that are targets in /etc/mcore.conf, and all disks of this machine. 'mcore save raw:/dev/DISK DIRECTORY' copies one from a disk to files and marks it as saved.

      Exit status: 0 every one is whole, 1 a place can't be read, 3 one is cut, can't be read or waits on a disk.
      """)

  @Flag(help: "Print JSON.")
  var json = false

  @Option(help: "Remove whole dumps of mcore but for the newest ones, so many, and say which.")
  var keep: Int?

  @Option(help: "Remove whole dumps of mcore that are older than so many days, but for the newest, and say which.")
  var keepDays: Int?

  @Option(help: "Remove whole dumps of mcore, the oldest first, until so much is free: \(Limits.sizeForm). The newest stays.")
  var minFree: String?

  @Flag(
    help: """
      For the service after a boot: tell the journal and the next login of new dumps in all targets, and remove old ones by \
      keep=, keep-days=, min-free=; at the end write missing reports.
      """)
  var announce = false

  @Flag(
    help: "For the service after a boot: copy what waits on raw disks among the targets to the others, and mark it saved.")
  var collect = false

  @Flag(help: "For the service after a boot: run the command of notify= for each new dump.")
  var notify = false

  @Argument(help: "Directories, and raw:/dev/DISK.", completion: .file())
  var places: [String] = []

  func validate() throws {
    if let keep, !(1...1000).contains(keep) { throw ValidationError("--keep is 1 to 1000, not \(keep)") }
    let jobs = [announce ? "--announce" : nil, collect ? "--collect" : nil, notify ? "--notify" : nil].compactMap { $0 }
    if jobs.count > 1 || !jobs.isEmpty && (json || keep != nil || keepDays != nil || minFree != nil || !places.isEmpty) {
      throw ValidationError("\(jobs[0]) goes by /etc/mcore.conf alone, and takes nothing beside it")
    }
    if let keepDays, !(1...36_500).contains(keepDays) { throw ValidationError("--keep-days is 1 to 36500, not \(keepDays)") }
    _ = try retention()
  }

  private func retention() throws -> Retention {
    Retention(
      keep: keep ?? 0, days: keepDays ?? 0, minFree: try amount("--min-free", minFree, Limits.sizeForm, Limits.bytes) ?? 0)
  }

  func run() throws {
    if announce {
      return try failing { () throws(DumpError) in
        let announcement = try announceDumps()
        for line in announcement.new { try standardOutput(line + "\n") }
        for path in announcement.reported { try standardOutput("report of \(printable(path))\n") }
        for path in announcement.removed { try standardOutput("removed \(printable(path))\n") }
        for problem in announcement.problems { standardError("mcore: warning: \(problem)") }
      }
    }
    if collect {
      return try failing { () throws(DumpError) in
        for result in try collectDumps(reporter: ConsoleReporter(quiet: false)) {
          for finding in result.findings { standardError("mcore: finding: \(printable(finding))") }
          try standardOutput("saved \(printable(result.path)), \(humanBytes(result.bytesWritten)), \(result.status.text)\n")
        }
      }
    }
    if notify {
      return try failing { () throws(DumpError) in
        let notification = try Arming.notify()
        for path in notification.told { try standardOutput("notify= was run for \(printable(path))\n") }
        for problem in notification.problems { standardError("mcore: warning: \(problem)") }
      }
    }
    let disks = places.filter { $0.hasPrefix("raw:") || $0.hasPrefix("/dev/") }.map {
      $0.hasPrefix("raw:") ? String($0.dropFirst(4)) : $0
    }
    let directories = places.isEmpty ? dumpPlaces() : places.filter { !$0.hasPrefix("raw:") && !$0.hasPrefix("/dev/") }
    var isWhole = true
    let rules = try retention()
    try failing { () throws(DumpError) in
      for directory in directories where !rules.isEmpty {
        let removed = try removeOldDumps(in: directory, rules) {
          standardError("mcore: warning: a dump that should go stays: \($0)")
          isWhole = false
        }
        for path in removed { standardError("mcore: removed \(printable(path))") }
      }
    }
    try failing { () throws(DumpError) in
      var dumps: [ListedDump] = []
      // Without a dump yet /var/crash need not be there.
      for directory in directories where !places.isEmpty || System.kind(of: directory) != nil {
        dumps += try listDumps(in: directory, withSignatures: json)
      }
      let waiting = places.isEmpty ? (try? listRawDumps([])) ?? [] : disks.isEmpty ? [] : try listRawDumps(disks)
      let text = listText(dumps, onDisks: waiting, json: json)
      if !text.isEmpty { try standardOutput(text + "\n") }
      if waiting.contains(where: \.isWaiting) || dumps.contains(where: { !$0.isWhole }) { isWhole = false }
    }
    if !isWhole { throw ExitCode(3) }
  }
}
