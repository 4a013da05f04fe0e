public import Capture
internal import CoreEncoding
public import DumpBasics
internal import DumpSource
internal import DumpTarget
internal import LinuxSystem

/// One dump directory, as `mcore list` shows it.
public struct ListedDump: Sendable {
  public var path: String
  /// Seconds since 1970, UTC: of the crash; by the directory's name where the dump does not tell.
  public var time: Int64?
  public var release: String?
  public var reason: String?
  /// Bytes of the dump file.
  public var bytes: UInt64 = 0
  /// `complete`, `findings`, `cut`; `writing or cut` for a directory that is not whole and whose dump can't
  /// be read yet; `unreadable` for one that should be.
  public var status: String
  /// Whether mcore wrote it.
  public var isOurs = false
  /// Whether the directory is a symbolic link.
  var isElsewhere = false
  /// What is the same for the same bug: 16 hex digits.
  public var signature: String?
  /// Why it can't be read.
  public var problem: String?

  public var isWhole: Bool { status == "complete" || status == "findings" }
}

/// The dumps in a directory, the newest first. What is not named as a dump of ours is passed over.
///
/// `withSignatures`: of those whose manifest has none the report is made, which takes a second or two each,
/// for as long as `signatureSeconds`.
public func listDumps(in directory: String, withSignatures: Bool = false) throws(DumpError) -> [ListedDump] {
  var found: [ListedDump] = []
  let end = System.monotonicNanoseconds + signatureSeconds * 1_000_000_000
  for name in try System.names(in: directory) {
    guard let parts = DumpDirectoryName(name), System.kind(of: "\(directory)/\(name)") == .directory else { continue }
    let mayAsk = withSignatures && System.monotonicNanoseconds < end
    found.append(listed("\(directory)/\(name)", parts, mayAsk ? ReportWitness() : nil))
  }
  // By name where the times are the same: -2 comes after -1.
  return found.sorted { ($0.time ?? 0, $0.path.utf8.count, $0.path) > ($1.time ?? 0, $1.path.utf8.count, $1.path) }
}

/// The newest dump in these directories, by its name: the others are not opened. What can't be read counts
/// for nothing.
public func newestDump(in directories: [String]) -> ListedDump? {
  var newest: (path: String, name: DumpDirectoryName)?
  for directory in directories {
    for name in (try? System.names(in: directory)) ?? [] {
      guard let parts = DumpDirectoryName(name), System.kind(of: "\(directory)/\(name)") == .directory else { continue }
      if newest.map({ $0.name.time <= parts.time }) ?? true { newest = ("\(directory)/\(name)", parts) }
    }
  }
  return newest.map { listed($0.path, $0.name, nil) }
}

/// For the signatures of dumps that have none in their manifest.
private let signatureSeconds: UInt64 = 60

private func listed(_ path: String, _ name: DumpDirectoryName, _ witness: ReportWitness?) -> ListedDump {
  var dump = ListedDump(path: path, time: name.time, release: name.release, status: "unreadable")
  do throws(DumpError) {
    dump.isElsewhere = System.linkTarget(of: path) != nil
    dump.signature = recordedSignature(path)
    let facts = try inspect(try openDump(path), path, witness: dump.signature == nil ? witness : nil)
    if let signature = facts.explanation?.signature { dump.signature = signature.hash }
    dump.time = facts.crashTime ?? name.time
    dump.release = facts.release ?? name.release
    (dump.reason, dump.bytes, dump.status) = (facts.reason, facts.fileBytes, facts.status.rawValue)
    dump.isOurs = facts.tool?.utf8.starts(with: "mcore".utf8) ?? false
    // The name is given last: without it nobody says that all of it is on the disk.
    if name.isIncomplete, dump.isWhole { dump.status = DumpFacts.Status.cut.rawValue }
  } catch {
    dump.status = name.isIncomplete ? "writing or cut" : "unreadable"
    dump.problem = error.description
  }
  return dump
}

/// The name of a dump directory taken apart: `2026-11-23T02-51-07Z-6.1.0-47-cloud-amd64-2.incomplete`.
struct DumpDirectoryName: Equatable {
  var time: Int64
  /// With the number of a second dump of one second, if there is one: a release may end in a number too.
  var release: String
  var isIncomplete: Bool

  init?(_ name: String) {
    var bytes = Array(name.utf8)
    let suffix = Array(".incomplete".utf8)
    isIncomplete = bytes.suffix(suffix.count) == suffix[...]
    if isIncomplete { bytes.removeLast(suffix.count) }
    guard bytes.count > 21, bytes[19] == 0x5a, bytes[20] == 0x2d,
      let time = UTCTime.seconds(ofName: Array(bytes.prefix(19)))
    else { return nil }
    self.time = time
    release = String(decoding: bytes[21...], as: UTF8.self)
  }
}

extension UTCTime {
  /// Of `2026-11-23T02-51-07`; nil for anything else.
  static func seconds(ofName bytes: [UInt8]) -> Int64? {
    guard bytes.count == 19 else { return nil }
    for (place, byte) in [(4, 0x2d), (7, 0x2d), (10, 0x54), (13, 0x2d), (16, 0x2d)] as [(Int, UInt8)] where bytes[place] != byte {
      return nil
    }
    func number(_ range: Range<Int>) -> Int64? {
      let digits = bytes[range]
      guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
      return digits.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
    }
    guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
      let minute = number(14..<16), let second = number(17..<19), (1...12).contains(month), (1...31).contains(day), hour < 24,
      minute < 60, second < 61
    else { return nil }
    // Days from the civil calendar: years that begin in March, of which 400 have 146,097 days.
    let shifted = month <= 2 ? year - 1 : year
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    return days * 86_400 + hour * 3600 + minute * 60 + second
  }
}

/// `mcore list`: a line for each dump, or JSON (docs/install.md).
public func listText(_ dumps: [ListedDump], onDisks disks: [ListedRawDump] = [], json: Bool) -> String {
  if json {
    let entries = dumps.map { dump in
      JSON.object([
        ("path", .string(dump.path)), ("status", .string(dump.status)), ("kernel", .optional(dump.release)),
        ("crash_time", dump.time.map { .string(UTCTime(secondsSince1970: $0).text) } ?? .null),
        ("reason", .optional(dump.reason)), ("signature", .optional(dump.signature)),
        ("file_bytes", .unsigned(dump.bytes)), ("problem", .optional(dump.problem)),
      ])
    }
    let raw = disks.map {
      JSON.object([("disk", .string($0.disk)), ("name", .optional($0.name)), ("waits", .bool($0.isWaiting))])
    }
    return JSON.object([("version", .string("1.0")), ("dumps", .array(entries)), ("disks", .array(raw))]).text()
  }
  let lines = dumps.map { dump in
    let time = dump.time.map { UTCTime(secondsSince1970: $0).text } ?? "at an unknown time"
    let what = dump.reason ?? dump.problem ?? "no panic message found in the log"
    let kernel = printable(dump.release ?? "unknown kernel")
    return "\(time)  \(kernel)  \(humanBytes(dump.bytes))  \(dump.status)  \(printable(what))\n  \(printable(dump.path))"
  }
  return (lines + disks.map { printable($0.line) }).joined(separator: "\n")
}
