internal import CoreEncoding
internal import CrashedKernel
public import DumpBasics

/// Everything that `mcore info` says of a dump and that `dump.json` holds. The same for a dump that was just
/// written and for one that was opened: what is here can be derived from the dump file alone.
public struct DumpFacts: Sendable {
  /// How much of it is there.
  public enum Status: String, Sendable {
    case complete
    /// Whole, with something to report: unreadable pages, a source that was cut.
    case findings
    /// It ends too early.
    case cut
  }

  public var tool: String?
  public var status: Status
  public var format: String
  public var level: String
  public var release: String?
  public var machine: String
  public var pageSize: PageSize
  public var cpus: Int
  /// Seconds since 1970, UTC.
  public var crashTime: Int64?
  /// Whether the kernel ran on while the dump was written.
  public var isLive = false
  public var buildID: String?
  public var reason: String?
  public var keptPages: UInt64
  /// Nil where only reading everything would tell: in dumps of other tools, and in those that are cut.
  public private(set) var zeroPages: UInt64?
  public var unreadable: [PhysicalRange]
  /// Pages that stand in the dump at the place of others with the same content.
  var sharedPages: UInt64 = 0
  /// Pages of another tool's dump that read as zeros and have no data: zero, or left out by that tool.
  var zeroOrLeftOutPages: UInt64 = 0
  /// Bytes of the file behind the dump, which are no part of it.
  var bytesBehind: UInt64 = 0
  /// Notes of devices and others.
  var otherNotes: [OtherNote] = []
  /// Pages that were read again when everything was written, and those of them that had changed.
  var sampledPages: UInt64 = 0
  var changed: [PhysicalRange] = []
  public var absent = AbsentRanges()
  /// What a witness says; nil where none was asked.
  public private(set) var explanation: Explanation?
  public var findings: [String]
  /// Pages by class; empty where none was looked for.
  var classes: [MCoreNote.ClassCount] = []
  var checks: [MCoreNote.CheckCount] = []
  /// Of a dump of ours that is cut: the memory that it should have and does not, and how far each pass goes.
  var cutOff: [PhysicalRange] = []
  var passes: [PassProgress] = []
  /// Bytes of the dump file, compressed or not.
  public var fileBytes: UInt64
  /// Bytes of memory in the dump, zeros included.
  public var memoryBytes: UInt64

  /// What a dump says of its kernel. The rest is filled in by the two ways to come to a dump.
  init(_ kernel: CrashedKernel, log: KernelLog?, machine: MachineIdentity) {
    tool = nil
    status = .complete
    format = ""
    level = ""
    release = kernel.release
    self.machine = machine.architecture.description
    pageSize = kernel.pageSize
    cpus = kernel.cpuCount
    crashTime = kernel.crashTime
    buildID = kernel.vmcoreinfo?.buildID
    reason = log?.panicMessage ?? kernel.source.crashStatement?.reason
    keptPages = 0
    unreadable = []
    findings = []
    fileBytes = 0
    memoryBytes = 0
  }

  func pages(_ ranges: some Sequence<PhysicalRange>) -> UInt64 {
    ranges.reduce(0) { clampedSum($0, pageSize.pages(in: $1)) }
  }

  var unreadablePages: UInt64 { pages(unreadable) }
  var leftOutPages: UInt64 { pages(absent.lazy.map(\.range)) }

  /// Takes over what the note of a dump of ours says.
  mutating func take(_ note: MCoreNote) {
    tool = note.tool
    level = note.level
    isLive = note.isLive
    zeroOrLeftOutPages = pages(note.withoutData.lazy.map(\.range))
    keptPages = note.keptPages - min(note.keptPages, zeroOrLeftOutPages)
    absent = note.leftOut
    classes = note.classes
    checks = note.checks
  }

  /// Takes over how many pages of the dump are zeros, those without data among them.
  mutating func take(zeroPages count: UInt64?) { zeroPages = count.map { $0 - min($0, zeroOrLeftOutPages) } }

  /// Takes over what a witness says. What the dump says itself already is not said twice.
  mutating func take(_ explanation: Explanation?) {
    guard let explanation else { return }
    self.explanation = explanation
    for finding in explanation.findings where !findings.contains(finding) { findings.append(finding) }
  }

  /// Sets `status` from what was found. `cut` is true when the file ends too early.
  mutating func settle(cut: Bool) {
    if cut {
      status = .cut
    } else {
      status =
        findings.isEmpty && unreadable.isEmpty && (changed.isEmpty || isLive)
          && !absent.contains { $0.reason != .level } ? .complete : .findings
    }
  }
}

extension DumpFacts {
  /// The schema of `info --json` and of `dump.json`: docs/manifest.md.
  func json(files: JSON? = nil) -> JSON {
    var members: [(String, JSON)] = [
      ("version", .string("1.0")),
      ("tool", .optional(tool)),
      ("status", .string(status.rawValue)),
      (
        "kernel",
        .object([
          ("release", .optional(release)), ("machine", .string(machine)), ("page_size", .unsigned(pageSize.bytes)),
          ("cpus", .unsigned(UInt64(cpus))),
          ("crash_time", crashTime.map { .string(UTCTime(secondsSince1970: $0).text) } ?? .null),
          ("crash_time_seconds", crashTime.map { .number($0) } ?? .null), ("build_id", .optional(buildID)),
          ("reason", .optional(reason)),
        ])
      ),
      ("live", .bool(isLive)),
      ("level", .string(level)),
      ("format", .string(format)),
      ("pages", pagesByClass()),
      ("zero_pages", zeroPages.map { .unsigned($0) } ?? .null),
      ("shared_pages", .unsigned(sharedPages)),
      ("unreadable_pages", .unsigned(unreadablePages)),
      ("unreadable", .array(unreadable.map(DumpFacts.json))),
      ("sampled_pages", .unsigned(sampledPages)),
      ("changed_pages", .unsigned(pages(changed))),
      (
        "checks",
        .array(
          checks.map {
            .object([
              ("name", .string($0.name)), ("tried", .unsigned($0.tried)), ("failed", .unsigned($0.failed)),
              ("kept_pages", .unsigned($0.keptPages)),
            ])
          })
      ),
      (
        "absent",
        .array(absentPages.map { .object([("reason", .string($0.reason.text)), ("pages", .unsigned($0.pages))]) })
      ),
      ("findings", .array(findings.map(JSON.string))),
      ("memory_bytes", .unsigned(memoryBytes)),
      ("file_bytes", .unsigned(fileBytes)),
    ]
    if let explanation { members += explanation.members }
    if zeroOrLeftOutPages > 0 { members.append(("zero_or_left_out_pages", .unsigned(zeroOrLeftOutPages))) }
    if bytesBehind > 0 { members.append(("bytes_behind", .unsigned(bytesBehind))) }
    if !otherNotes.isEmpty { members.append(("notes", .array(otherNotes.map(\.json)))) }
    if !passes.isEmpty {
      members.append(("passes", .array(passes.map(\.json))))
      members.append(("cut_off", .array(cutOff.map(DumpFacts.json))))
    }
    if let files { members.append(("files", files)) }
    return .object(members)
  }

  private func pagesByClass() -> JSON {
    func entry(_ total: UInt64, _ kept: UInt64) -> JSON {
      .object([("total", .unsigned(total)), ("kept", .unsigned(kept)), ("left_out", .unsigned(total - min(total, kept)))])
    }
    if classes.isEmpty { return .object([("unclassified", entry(clampedSum(keptPages, leftOutPages), keptPages))]) }
    return .object(classes.map { ($0.name, entry($0.total, $0.kept)) })
  }

  private static func json(_ range: PhysicalRange) -> JSON {
    .object([("start", .string(hex(range.start))), ("end", .string(hex(range.end)))])
  }

  /// Pages that are not in the dump, for each reason there is.
  var absentPages: [(reason: Absence, pages: UInt64)] {
    Absence.allCases.compactMap { reason in
      let count = pages(absent.lazy.filter { $0.reason == reason }.map(\.range))
      return count == 0 ? nil : (reason, count)
    }
  }

  /// What is said of a file that goes on behind its dump.
  static func text(behind bytes: UInt64) -> String { "\(bytes) bytes behind the end of the dump are no part of it" }

  var crashedText: String { crashTime.map { "\(UTCTime(secondsSince1970: $0).text) (UTC)" } ?? "at an unknown time" }
  var reasonText: String { reason ?? "no panic message found in the log" }

  /// What `mcore info` prints.
  func text() -> [String] {
    var lines: [(String, String)] = [
      ("kernel", "\(release ?? "unknown release"), \(machine), \(cpus) CPU\(cpus == 1 ? "" : "s") with registers"),
      isLive ? ("live", "the kernel ran on while this was written") : ("crashed", crashedText), ("reason", reasonText),
    ]
    if let signature = explanation?.signature { lines.append(("signature", signature.text)) }
    lines += [
      ("status", statusText),
      ("dump", "\(format), level \(level), \(humanBytes(fileBytes)) for \(humanBytes(memoryBytes)) of memory"),
      (
        "pages",
        "\(keptPages) kept\(zeroPages.map { " (\($0) of them zero)" } ?? ""), \(leftOutPages) left out, \(unreadablePages) unreadable"
      ),
    ]
    if sharedPages > 0 {
      lines.append(("shared", "\(sharedPages) pages stand in the dump at the place of others with the same content"))
    }
    if zeroOrLeftOutPages > 0 {
      lines.append(("no data", "\(zeroOrLeftOutPages) pages: zero, or left out by the tool that wrote the dump"))
    }
    if bytesBehind > 0 { lines.append(("behind it", DumpFacts.text(behind: bytesBehind))) }
    for note in otherNotes { lines.append(("note", note.text)) }
    if !passes.isEmpty { lines.append(("there is", passes.map(\.text).joined(separator: ", "))) }
    // The dump says what was to become of each class; which of them are behind the cut it can't tell.
    let kept = status == .cut ? "were to be kept" : "kept"
    for entry in classes where entry.total > 0 {
      lines.append((entry.name, "\(entry.total) pages, \(entry.kept) \(kept)"))
    }
    for check in checks where check.failed > 0 {
      lines.append(
        ("check", "\(check.name) failed \(check.failed) of \(check.tried) times, \(check.keptPages) pages kept for it"))
    }
    if let tool { lines.append(("written by", tool)) }
    if let explanation { lines += explanation.lines }
    for entry in absentPages { lines.append(("left out", "\(entry.pages) pages \(entry.reason.text)")) }
    for range in unreadable.prefix(8) { lines.append(("unreadable", "\(range)")) }
    if unreadable.count > 8 { lines.append(("unreadable", "and \(unreadable.count - 8) more ranges (--json lists all)")) }
    if !changed.isEmpty { lines.append(("changed", changedText)) }
    for finding in findings { lines.append(("finding", finding)) }
    let width = lines.map(\.0.count).max() ?? 0
    return lines.map { $0.0 + ":" + String(repeating: " ", count: width - $0.0.count + 1) + printable($0.1) }
  }

  /// What is said of a machine that did not hold still.
  var changedText: String {
    "\(pages(changed)) of \(sampledPages) pages that were read twice changed while the dump was written, first \(changed.first.map { "\($0)" } ?? "")"
  }

  private var statusText: String {
    switch status {
    case .complete: "complete"
    case .findings: "whole, with findings"
    case .cut: "cut: it ends too early"
    }
  }
}
