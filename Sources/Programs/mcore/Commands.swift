public import ArgumentParser
import Arming
public import Capture
public import CoreFormat
import DumpBasics
public import PageClasses
public import PageSelection

extension Level: ExpressibleByArgument {
  public init?(argument: String) { self.init(named: argument) }
  public static var allValueStrings: [String] { named.map(\.name) }
}
extension Trust: ExpressibleByArgument {}
extension OutputFormat: ExpressibleByArgument {}
extension DumpOrder: ExpressibleByArgument {}

struct Save: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Save one dump.",
    discussion: """
      Targets are tried in order until one takes the dump:
        DIRECTORY                 a dump directory <time>-<release>/ in it, with dmesg.txt and dump.json
        FILE                      one plain file (its directory has to exist)
        /dev/vda1:/var/crash      a directory on a file system that is mounted for it
        UUID=…:/path LABEL=…:/path
        -                         standard output
      A dump is written under a name that ends in .incomplete and renamed when it is whole and on the disk.
      """)

  @Option(help: "What to keep: \(Level.allNames) (default: kern).")
  var level: Level?

  @Option(help: "In place of a level: classes of pages to leave out, of \(Level.excludableNames).")
  var exclude: String?

  @Option(
    name: .customShort("d"),
    help: "In place of a level: the sum of 1 zero, 2 cache, 4 cache-private, 8 user, 16 free, as for makedumpfile.")
  var dumpLevel: Int?

  @Option(help: "How far the kernel's page map is believed: checked, metadata (as it stands), nothing (keep every page).")
  var trust: Trust = .checked

  @Option(help: "Format: \(OutputFormat.allNames).")
  var format: OutputFormat = .elfGzip

  @Option(help: "Order of memory in the dump: \(DumpOrder.allNames). By 'critical' a dump that is cut off has what matters most.")
  var order: DumpOrder = .critical

  @Option(help: "End after this time, with what is written by then: \(Limits.timeForm).")
  var maxTime: String?

  @Option(help: "End before the dump file gets larger: \(Limits.sizeForm).")
  var maxSize: String?

  @OptionGroup var work: WorkOptions

  @Argument(help: "/proc/vmcore, or a dump.")
  var source: String

  @Argument(help: "Where to: see below.")
  var targets: [String]

  private func limits() throws -> Limits {
    func value(_ name: String, _ text: String?, _ form: String, _ parse: (String) -> UInt64?) throws -> UInt64 {
      guard let text else { return 0 }
      guard let value = parse(text) else { throw ValidationError("\(name) \(text): allowed is \(form)") }
      return value
    }
    var limits = Limits()
    limits.seconds = try value("--max-time", maxTime, Limits.timeForm, Limits.seconds)
    limits.bytes = try value("--max-size", maxSize, Limits.sizeForm, Limits.bytes)
    return limits
  }

  func validate() throws {
    let given = [level != nil ? "--level" : nil, exclude != nil ? "--exclude" : nil, dumpLevel != nil ? "-d" : nil]
    if given.compactMap({ $0 }).count > 1 {
      throw ValidationError("\(given.compactMap { $0 }.joined(separator: " and ")) say the same thing: give one of them")
    }
    if let dumpLevel, Level(dumpLevel: dumpLevel) == nil { throw ValidationError("-d is 0 to 31, not \(dumpLevel)") }
    _ = try limits()
  }

  func run() throws {
    let limits = try limits()
    try report(work) { (reporter) throws(DumpError) in
      let excluded = if let exclude { try Level(excluding: exclude) } else { dumpLevel.flatMap { Level(dumpLevel: $0) } }
      var request = SaveRequest(source: source, targets: targets, level: excluded ?? level ?? .kern)
      request.trust = trust
      request.order = order
      request.limits = limits
      request.format = format
      request.threads = work.threads
      return try save(request, reporter)
    }
  }
}

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a dump in another format.",
    discussion: "Converting keeps what the dump says of itself. Pages that could not be read become gaps.")

  @Option(help: "Format: \(OutputFormat.allNames).")
  var format: OutputFormat

  @OptionGroup var work: WorkOptions

  @Argument(help: "The dump file or its directory.")
  var dump: String

  @Argument(help: "The file to write, or - for standard output.")
  var out: String

  func run() throws {
    try report(work) { (reporter) throws(DumpError) in
      try convert(dump, to: out, format: format, threads: work.threads, reporter)
    }
  }
}

/// Runs something that writes a dump, and says how it ended.
func report(_ work: WorkOptions, _ body: (any Reporter) throws(DumpError) -> SaveResult) throws {
  var status: Int32 = 0
  try failing { () throws(DumpError) in
    let reporter = ConsoleReporter(quiet: work.quiet)
    let result = try body(reporter)
    for finding in result.findings { standardError("mcore: finding: \(printable(finding))") }
    if !work.quiet || result.status == .cut {
      standardError("mcore: \(printable(result.path)): \(humanBytes(result.bytesWritten)) written, \(result.status.text)")
    }
    status = result.status.exitStatus
  }
  if status != 0 { throw ExitCode(status) }
}

struct Info: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Say what a dump is.")

  @Flag(help: "Print JSON, in the schema of dump.json.")
  var json = false

  @Argument(help: "The dump file or its directory.")
  var dump: String

  func run() throws {
    try failing { () throws(DumpError) in try standardOutput(try info(dump, json: json) + "\n") }
  }
}

struct Dmesg: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Print the crashed kernel's log.")

  @Argument(help: "The dump file or its directory, or /proc/vmcore.")
  var dump: String

  func run() throws {
    try failing { () throws(DumpError) in try standardOutput(try dmesg(dump)) }
  }
}

struct Last: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print what was kept when no target took a dump.",
    discussion: """
      The crash kernel's setting last=DISK names a disk or partition, set aside, that gets the log and the registers when \
      every target failed. It is plain text: `dd if=DISK bs=256K count=1 | less` shows it too.

      Exit status: 0 something is there, 1 nothing is, or it can't be read.
      """)

  @Argument(help: "The disk that last= names (/dev/vdb2, PARTUUID=...), or an image of it.")
  var disk: String

  @Flag(help: "Fill it with zeros again, so that there is room for the next ones.")
  var clear = false

  func run() throws {
    var isEmpty = false
    try failing { () throws(DumpError) in
      if clear { return try clearLastResort(disk) }
      let found = try lastResort(disk)
      isEmpty = found.isEmpty
      if isEmpty { standardError("\(disk): nothing was written here") } else { try standardOutput(found.text) }
    }
    if isEmpty { throw ExitCode(1) }
  }
}

struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the dumps of a directory, the newest first.",
    discussion: "Exit status: 0 every one is whole, 1 the directory can't be read, 3 one is cut or can't be read.")

  @Flag(help: "Print JSON.")
  var json = false

  @Option(help: "Remove whole dumps of mcore but for the newest ones, so many, and say which.")
  var keep: Int?

  @Flag(help: "For the service after a boot: tell the journal of new dumps in all targets, and remove old ones by keep=.")
  var announce = false

  @Argument(help: "Where the dumps lie.")
  var directory = "/var/crash"

  func validate() throws {
    if let keep, !(1...1000).contains(keep) { throw ValidationError("--keep is 1 to 1000, not \(keep)") }
  }

  func run() throws {
    if announce {
      return try failing { () throws(DumpError) in
        let announcement = try announceDumps()
        for line in announcement.new { try standardOutput(line + "\n") }
        for path in announcement.removed { try standardOutput("removed \(printable(path))\n") }
        for problem in announcement.problems { standardError("mcore: warning: \(problem)") }
      }
    }
    if let keep {
      try failing { () throws(DumpError) in
        for path in try removeOldDumps(in: directory, keep: keep) { standardError("mcore: removed \(printable(path))") }
      }
    }
    var dumps: [ListedDump] = []
    try failing { () throws(DumpError) in
      dumps = try listDumps(in: directory)
      let text = listText(dumps, json: json)
      if !text.isEmpty { try standardOutput(text + "\n") }
    }
    if dumps.contains(where: { !$0.isWhole }) { throw ExitCode(3) }
  }
}

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Re-read a dump and check everything.",
    discussion: """
      Every block's checksum, the structure and the counts. Exit status: 0 all is whole, 1 corrupt, 3 sound but cut short \
      or with findings.
      """)

  @OptionGroup var work: WorkOptions

  @Argument(help: "The dump file or its directory.")
  var dump: String

  func run() throws {
    var status: Int32 = 0
    try failing { () throws(DumpError) in
      let reporter = ConsoleReporter(quiet: work.quiet)
      let result = try verify(dump, threads: work.threads, reporter)
      for line in result.lines { try standardOutput(printable(line) + "\n") }
      let verdict =
        switch result.verdict {
        case .whole: "whole"
        case .corrupt: "CORRUPT"
        case .incomplete: "incomplete, or with findings"
        }
      try standardOutput("\(printable(dump)): \(verdict)\n")
      status = result.verdict.rawValue
    }
    if status != 0 { throw ExitCode(status) }
  }
}
