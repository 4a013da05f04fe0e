internal import Capture
internal import CoreEncoding
internal import CrashedKernel
public import DumpBasics
internal import DumpSource

/// How `mcore dmesg` shows the log; by itself as it stands in `dmesg.txt`.
public struct DmesgOptions: Sendable {
  /// The levels that are shown, 0 (emerg) to 7 (debug); nil for all, and for records whose level is not
  /// known.
  public var levels: Set<UInt8>?
  /// Who wrote a line: `[T123]` a thread, `[C1]` a CPU.
  public var showsCaller = false
  /// Date and time of day in place of the time since boot.
  public var showsDate = false
  public var isJSON = false
  public var isColoured = false
  /// A file with the text of VMCOREINFO.
  public var vmcoreInfo: String?

  public init() {}

  static let levelNames = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"]
  public static let levelForm =
    levelNames.joined(separator: ", ") + "; err+ is err and what is worse, +err is err and what is less"

  /// `err,warn`, `err+` or `+err`, as dmesg(1) has them. Nil for anything else.
  public static func levels(_ text: String) -> Set<UInt8>? {
    var levels: Set<UInt8> = []
    for word in text.split(separator: ",", omittingEmptySubsequences: false) {
      let (isUp, isDown) = (word.utf8.last == UInt8(ascii: "+"), word.utf8.first == UInt8(ascii: "+"))
      guard !(isUp && isDown),
        let number = levelNames.firstIndex(of: String(isUp ? word.dropLast() : isDown ? word.dropFirst() : word))
      else { return nil }
      levels.formUnion(((isUp ? 0 : number)...(isDown ? levelNames.count - 1 : number)).map { UInt8($0) })
    }
    return levels
  }
}

public func dmesg(_ path: String, _ options: DmesgOptions) throws(DumpError) -> String { try dmesg([path], options) }

/// `mcore dmesg`: the crashed kernel's log, from its memory alone.
public func dmesg(_ paths: [String], _ options: DmesgOptions) throws(DumpError) -> String {
  let source = try openDump(paths)
  let kernel = CrashedKernel(source, vmcoreinfo: try readVMCoreInfo(options.vmcoreInfo))
  let log = try kernel.log()
  return try DmesgView(log, options, crashTime: kernel.crashTime).text()
}

private struct DmesgView {
  private let log: KernelLog
  private let options: DmesgOptions
  /// When the machine booted, in nanoseconds since 1970: the log's last record was written when it crashed.
  private let boot: Int64?

  init(_ log: KernelLog, _ options: DmesgOptions, crashTime: Int64?) throws(DumpError) {
    self.log = log
    self.options = options
    boot = crashTime.flatMap { time in
      let (nanoseconds, overflow) = time.multipliedReportingOverflow(by: 1_000_000_000)
      guard !overflow, let last = log.entries.last?.nanoseconds else { return nil }
      return nanoseconds.subtractingReportingOverflow(Int64(clamping: last)).partialValue
    }
    if options.showsDate, boot == nil {
      throw DumpError("the dump does not say when it crashed: no date can be shown", advice: "leave --time out")
    }
    if log.entries.isEmpty, options.levels != nil || options.showsCaller || options.isJSON || options.showsDate {
      throw DumpError("this kernel's log has no records: only its text can be shown", advice: "leave the options out")
    }
  }

  func text() -> String {
    let isPlain = options.levels == nil && !options.showsCaller && !options.showsDate && !options.isColoured
    if options.isJSON { return JSON.object([("dmesg", .array(shown.map(json)))]).text() + "\n" }
    if isPlain || log.entries.isEmpty { return log.text }
    return shown.map(line).joined()
  }

  private var shown: [LogRecord] {
    guard let levels = options.levels else { return log.entries }
    return log.entries.filter { record in record.level.map { levels.contains($0) } ?? false }
  }

  /// The lines of a record; in the log's text those behind the first are indented below it.
  private func lines(_ record: LogRecord) -> [String] {
    let indent = boottime(record).utf8.count + 3
    return log.bytes[record.text].split(separator: 0x0a, omittingEmptySubsequences: false).enumerated().map { index, line in
      String(decoding: index == 0 ? line : line.dropFirst(indent), as: UTF8.self)
    }
  }

  private func message(_ record: LogRecord, indent: Int) -> String {
    lines(record).joined(separator: "\n" + String(repeating: " ", count: indent))
  }

  private func line(_ record: LogRecord) -> String {
    let time = date(record) ?? boottime(record)
    let caller = options.showsCaller ? record.callerText.map { "[\($0)] " } ?? "" : ""
    let message = message(record, indent: time.utf8.count + 3 + caller.utf8.count)
    guard options.isColoured else { return "[\(time)] \(caller)\(message)\n" }
    // As dmesg has it: time green, what is worse than a warning red and bold, a warning bold.
    let style = record.level.map { $0 <= 3 ? "\u{1b}[1;31m" : $0 == 4 ? "\u{1b}[1m" : "" } ?? ""
    let end = style.isEmpty ? "" : "\u{1b}[0m"
    return "\u{1b}[32m[\(time)]\u{1b}[0m \(caller)\(style)\(message)\(end)\n"
  }

  private func boottime(_ record: LogRecord) -> String {
    let seconds = String(record.nanoseconds / 1_000_000_000)
    let part = String(record.nanoseconds % 1_000_000_000 / 1000)
    return String(repeating: " ", count: max(0, 5 - seconds.count)) + seconds + "."
      + String(repeating: "0", count: 6 - part.count) + part
  }

  private func date(_ record: LogRecord) -> String? {
    guard options.showsDate, let boot else { return nil }
    let nanoseconds = boot.addingReportingOverflow(Int64(clamping: record.nanoseconds)).partialValue
    return UTCTime(secondsSince1970: nanoseconds / 1_000_000_000).text
  }

  /// With the members of `dmesg --json` (util-linux), which has `pri`, `time`, `caller` and `msg`.
  private func json(_ record: LogRecord) -> JSON {
    let facility = record.facility.map { UInt64($0) }
    let level = record.level.map { Int($0 & 7) }
    let priority = level.map { (facility ?? 0) << 3 | UInt64($0) }
    return .object([
      ("pri", priority.map(JSON.unsigned) ?? .null),
      ("time", .seconds(record.nanoseconds)), ("date", .optional(boot.map { _ in dated(record) })),
      ("level", .optional(level.map { DmesgOptions.levelNames[$0] })),
      ("facility", facility.map(JSON.unsigned) ?? .null), ("caller", .optional(record.callerText)),
      ("msg", .string(lines(record).joined(separator: "\n"))),
    ])
  }

  private func dated(_ record: LogRecord) -> String {
    let nanoseconds = (boot ?? 0).addingReportingOverflow(Int64(clamping: record.nanoseconds)).partialValue
    return UTCTime(secondsSince1970: nanoseconds / 1_000_000_000).text
  }
}
