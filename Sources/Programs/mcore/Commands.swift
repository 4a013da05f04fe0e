public import ArgumentParser
import Arming
public import Capture
import Reading
public import CoreFormat
import DumpBasics
import LinuxSystem
public import PageClasses
public import PageSelection

extension Level: ExpressibleByArgument {
  public init?(argument: String) { self.init(named: argument) }
  public static var allValueStrings: [String] { named.map(\.name) }
}
extension Trust: ExpressibleByArgument {}
extension OutputFormat: ExpressibleByArgument {}
extension DumpOrder: ExpressibleByArgument {}
extension Speed: ExpressibleByArgument {}

struct Save: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Save one dump.",
    discussion: """
      Targets are tried in order until one takes the dump:
        DIRECTORY                 a dump directory <time>-<release>/ in it, with dmesg.txt, report.txt,
                                  report.json and dump.json
        FILE                      one plain file (its directory has to exist)
        /dev/vda1:/var/crash      a directory on a file system that is mounted for it
        UUID=…:/path LABEL=…:/path
        ssh:user@host:/path nfs:host:/export https://host/path/
                                  another machine, through the system's ssh, mount.nfs and curl
        raw:/dev/vdb              a disk without a file system; 'mcore save raw:/dev/vdb TARGET' gets it from there
        pipe:COMMAND              the input of a command
        -                         standard output
      A dump is written under a name that ends in .incomplete and renamed when it is whole and on the disk.
      """)

  @OptionGroup var selection: LevelArguments

  @Option(help: "How far the kernel's page map is believed: checked, metadata (as it stands), nothing (keep every page).")
  var trust: Trust = .checked

  @Option(help: "Format: \(OutputFormat.allNames).")
  var format: OutputFormat = .elfGzip

  @Option(
    help: """
      How hard the codecs of elf.gz and elf.zst try: \(Speed.allNames). By 'adaptive' a slow target gets a smaller dump and \
      a fast one gets it sooner: the bytes are others from one run to the next.
      """)
  var speed: Speed = .balanced

  @Option(help: "Order of memory in the dump: \(DumpOrder.allNames). By 'critical' a dump that is cut off has what matters most.")
  var order: DumpOrder = .critical

  @Option(help: "End after this time, with what is written by then: \(Limits.timeForm).")
  var maxTime: String?

  @Option(help: "End before the dump file gets larger: \(Limits.sizeForm).")
  var maxSize: String?

  @Flag(help: "No report.txt and report.json beside the dump. report=no in /etc/mcore.conf says so for all.")
  var noReport = false

  @OptionGroup var transfer: TransferArguments
  @OptionGroup var work: WorkOptions

  @OptionGroup var knowledge: KnowledgeOptions

  @Argument(
    help: "/proc/vmcore, a dump, /proc/kcore for the kernel that runs, or raw:/dev/DISK for one that waits on a raw disk.")
  var source: String

  @Argument(help: "Where to: see below.", completion: .file())
  var targets: [String]

  private func limits() throws -> Limits {
    var limits = Limits()
    limits.seconds = try amount("--max-time", maxTime, Limits.timeForm, Limits.seconds) ?? 0
    limits.bytes = try amount("--max-size", maxSize, Limits.sizeForm, Limits.bytes) ?? 0
    return limits
  }

  func validate() throws {
    try requireCodec(speed, format)
    let limits = try limits()
    if isRawWord(source), !transfer.mirror.isEmpty {
      throw ValidationError("the dump on a raw disk goes to one target; copy the directory then (--mirror is for new dumps)")
    }
    if isRawWord(source), selection.isGiven || limits != Limits() {
      throw ValidationError("the dump on a raw disk is copied as it is: what goes into it was chosen when it was written")
    }
  }

  func run() throws {
    let limits = try limits()
    let (options, mirrors) = (try transfer.options(), transfer.mirror)
    try report(work) { (reporter) throws(DumpError) in
      let witness = ReportWitness(writesFiles: !noReport && reportsAreWanted())
      if isRawWord(source) {
        return try saveRaw(source, to: targets, options, threads: work.threads, witness: witness, reporter)
      }
      var request = SaveRequest(source: source, targets: targets, level: try selection.value() ?? .kern)
      request.trust = trust
      request.order = order
      request.limits = limits
      request.transfer = options
      request.mirrors = mirrors
      request.format = format
      request.speed = speed
      request.threads = work.threads
      request.witness = witness
      request.check = damagedGroups
      request.vmcoreInfo = knowledge.vmcoreinfo
      System.holdSignals(once: true)
      return try save(request, reporter)
    }
  }
}

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a dump in another format.",
    usage:
      "mcore convert --format <format> [--level <level>] [--speed <speed>] [--threads <threads>] [--quiet] [--vmcoreinfo <file>] <dump> ... <out>",
    discussion: """
      Converting keeps what the dump says of itself. With --level, --exclude or -d pages are left out as by 'mcore save'. \
      Pages that could not be read become gaps. The parts of a set that makedumpfile --split wrote become one dump; a part \
      that is missing is named.
      """)

  @Option(help: "Format: \(OutputFormat.allNames).")
  var format: OutputFormat

  @Option(help: "How hard the codecs of elf.gz and elf.zst try: \(Speed.allNames).")
  var speed: Speed = .balanced

  @OptionGroup var selection: LevelArguments

  @OptionGroup var work: WorkOptions

  @OptionGroup var knowledge: KnowledgeOptions

  @Argument(
    help: ArgumentHelp(
      "The dump file or its directory, or all parts of a split set; then the file to write, or - for standard output.",
      valueName: "dump> ... <out"),
    completion: .file())
  var files: [String]

  func validate() throws {
    guard files.count >= 2 else { throw ValidationError("name a dump and the file to write") }
    try requireCodec(speed, format)
  }

  func run() throws {
    try report(work) { (reporter) throws(DumpError) in
      System.holdSignals(once: true)
      return try convert(
        Array(files.dropLast()), to: files[files.count - 1], format: format, level: try selection.value() ?? .all, speed: speed,
        threads: work.threads, vmcoreInfo: knowledge.vmcoreinfo, witness: ReportWitness(writesFiles: false), reporter)
    }
  }
}

struct Repair: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a sound file from a damaged dump.",
    discussion: """
      In the same format. Headers and notes come from their second place where the first one is damaged, blocks that are \
      whole are taken, and what is lost becomes a gap. 'mcore info OUT' names it.
      """)

  @OptionGroup var work: WorkOptions

  @Argument(help: "The dump file or its directory.", completion: .file())
  var dump: String

  @Argument(help: "The file to write, or - for standard output.", completion: .file())
  var out: String

  func run() throws {
    try report(work) { (reporter) throws(DumpError) in
      System.holdSignals(once: true)
      return try repair(dump, to: out, threads: work.threads, reporter)
    }
  }
}

/// A speed for a format that has none would be passed over in silence.
private func requireCodec(_ speed: Speed, _ format: OutputFormat) throws {
  if speed != .balanced, !format.hasSpeed {
    throw ValidationError(
      "--speed is for \(OutputFormat.allCases.filter(\.hasSpeed).map(\.rawValue).joined(separator: " and ")), not for \(format.rawValue)"
    )
  }
}

/// Runs something that writes a dump, and says how it ended. One that a signal ended (`System.holdSignals`)
/// has the status that shells expect of that.
func report(_ work: WorkOptions, _ body: (any Reporter) throws(DumpError) -> SaveResult) throws {
  var status: Int32 = 0
  /// What a signal ended is cut, or nothing at all.
  func orSignal(_ status: Int32) -> Int32 { System.heldSignal.map { 128 + $0 } ?? status }
  do {
    try failing { () throws(DumpError) in
      let reporter = ConsoleReporter(quiet: work.quiet)
      let result = try body(reporter)
      for finding in result.findings { standardError("mcore: finding: \(printable(finding))") }
      if !work.quiet || result.status == .cut {
        standardError("mcore: \(printable(result.path)): \(humanBytes(result.bytesWritten)) written, \(result.status.text)")
      }
      status = result.status == .cut ? orSignal(result.status.exitStatus) : result.status.exitStatus
    }
  } catch let error as ExitCode { throw ExitCode(orSignal(error.rawValue)) }
  if status != 0 { throw ExitCode(status) }
}

struct Info: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Say what a dump is.")

  @Flag(help: "Print JSON, in the schema of dump.json.")
  var json = false

  @OptionGroup var knowledge: KnowledgeOptions

  @Argument(help: "The dump file or its directory; or all parts of a split set.", completion: .file())
  var dumps: [String]

  func run() throws {
    try failing { () throws(DumpError) in
      let said = try info(dumps, json: json, vmcoreInfo: knowledge.vmcoreinfo, witness: ReportWitness())
      try standardOutput(said + "\n")
    }
  }
}

struct Dmesg: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print the crashed kernel's log.",
    discussion: """
      Without options it is the text of dmesg.txt. On a terminal times are green, errors red, as with dmesg; NO_COLOR=1 \
      switches that off.
      """)

  @Option(help: "Only these levels, with commas between them: \(DmesgOptions.levelForm).")
  var level: String?

  @Flag(help: "Who wrote each line: T and a thread's number, or C and a CPU's.")
  var caller = false

  @Flag(help: "Date and time of day (UTC) in place of the time since boot.")
  var time = false

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup var knowledge: KnowledgeOptions

  @Argument(help: "The dump file or its directory, or /proc/vmcore; or all parts of a split set.", completion: .file())
  var dumps: [String]

  private func options() throws -> DmesgOptions {
    var options = DmesgOptions()
    if let level {
      guard let levels = DmesgOptions.levels(level) else {
        throw ValidationError("--level \(level): allowed is \(DmesgOptions.levelForm)")
      }
      options.levels = levels
    }
    (options.showsCaller, options.showsDate, options.isJSON) = (caller, time, json)
    options.isColoured = !json && System.isTerminal(1) && System.environment("NO_COLOR") == nil
    options.vmcoreInfo = knowledge.vmcoreinfo
    return options
  }

  func validate() throws { _ = try options() }

  func run() throws {
    let options = try options()
    try failing { () throws(DumpError) in try standardOutput(try dmesg(dumps, options)) }
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

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Re-read a dump and check everything.",
    discussion: """
      Every block's checksum, the structure and the counts. Exit status: 0 all is whole, 1 corrupt, 3 sound but cut short \
      or with findings.
      """)

  @OptionGroup var work: WorkOptions

  @Argument(help: "The dump file or its directory; or all parts of a split set.", completion: .file())
  var dumps: [String]

  func run() throws {
    var status: Int32 = 0
    try failing { () throws(DumpError) in
      let reporter = ConsoleReporter(quiet: work.quiet)
      let result = try verify(dumps, threads: work.threads, witness: ReportWitness(), reporter)
      for line in result.lines { try standardOutput(printable(line) + "\n") }
      let verdict =
        switch result.verdict {
        case .whole: "whole"
        case .corrupt: "CORRUPT"
        case .incomplete: "incomplete, or with findings"
        }
      try standardOutput("\(printable(dumps.joined(separator: " "))): \(verdict)\n")
      status = result.verdict.rawValue
    }
    if status != 0 { throw ExitCode(status) }
  }
}
