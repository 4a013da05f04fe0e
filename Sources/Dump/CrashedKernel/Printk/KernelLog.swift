public import DumpBasics

/// The crashed kernel's log (printk's buffer), read from its memory alone.
public struct KernelLog: Sendable {
  /// How the kernel keeps its log.
  public enum Form: String, Sendable {
    /// The lockless ring of 5.10 and later (kernel/printk/printk_ringbuffer.c).
    case ring
    /// Records of varying length, 3.5 to 5.9 (kernel/printk/printk.c).
    case records
    /// Plain text in a ring, before 3.5.
    case raw
  }

  /// The text is no longer than this (bytes), escapes included. Of a longer log the end is there.
  public static let textLimit = 64 << 20

  public let form: Form
  /// The text: a line for each record, with its time, as dmesg has it. Valid UTF-8; other bytes and control
  /// characters as `\xNN`.
  public let bytes: [UInt8]
  /// The records whose text is in `bytes`, oldest first; empty for a log without records.
  public let entries: [LogRecord]
  /// Records whose text is in `bytes`.
  public let records: UInt64
  /// Records that a writer had reserved and not finished when the machine stopped.
  public let unfinished: UInt64
  /// Records that could not be read or contradict themselves.
  public let damaged: UInt64
  /// What was wrong with the log, beyond single records: a few lines at most.
  public let findings: [DumpError]

  public var text: String { String(decoding: bytes, as: UTF8.self) }
  /// The lines of the text, without their newlines.
  public var lines: [String] {
    bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      .dropLast(bytes.last == UInt8(ascii: "\n") || bytes.isEmpty ? 1 : 0)
      .map { String(decoding: $0, as: UTF8.self) }
  }

  /// Reads the log. A damaged log gives what is whole of it.
  ///
  /// - Throws: when VMCOREINFO does not lead to a log, or what leads to it can't be read. Names the key.
  public static func render(_ memory: KernelMemory, _ info: VMCoreInfo) throws(DumpError) -> KernelLog {
    do throws(DumpError) {
      if info.symbol("prb") != nil { return try PrintkRing(memory, info).render() }
      if info.symbol("log_first_idx") != nil { return try PrintkRecords(memory, info).render() }
      if info.symbol("log_end") != nil { return try PrintkText(memory, info).render() }
    } catch {
      throw error.inside("kernel log")
    }
    throw DumpError(
      "the kernel does not say where its log is (no SYMBOL(prb), log_first_idx or log_end)", at: "VMCOREINFO",
      advice: "a kernel without printk, or not a whole VMCOREINFO")
  }
}

/// What a log gathers while it is read.
struct LogTally: Sendable {
  var records: UInt64 = 0
  var unfinished: UInt64 = 0
  var damaged: UInt64 = 0
  var findings: [DumpError] = []

  func log(_ form: KernelLog.Form, _ bytes: [UInt8], _ entries: [LogRecord] = []) -> KernelLog {
    var findings = findings
    if damaged > 0 { findings.append(DumpError("\(damaged) records are damaged and left out", at: "kernel log")) }
    return KernelLog(
      form: form, bytes: bytes, entries: entries, records: records, unfinished: unfinished, damaged: damaged, findings: findings)
  }
}
