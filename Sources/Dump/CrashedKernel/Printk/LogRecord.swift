internal import DumpBasics

/// One record of the kernel's log: what printk knows of it beside its text (struct printk_info,
/// kernel/printk/printk_ringbuffer.h; struct printk_log before 5.10).
public struct LogRecord: Sendable, Equatable {
  /// Since boot.
  public var nanoseconds: UInt64
  /// 0 for the kernel's own. What a process writes to /dev/kmsg never has 0 (devkmsg_write,
  /// kernel/printk/printk.c). Nil where the kernel's layout does not say.
  public var facility: UInt8?
  /// 0 (emergency) to 7 (debug). Nil like the facility.
  public var level: UInt8?
  /// Who wrote it: a thread's id, or with bit 31 set a CPU's number (printk_caller_id). Nil where that is not
  /// recorded.
  public var caller: UInt32?
  /// Where in `KernelLog.bytes` its text is, without the time before it and the newline behind.
  public var text: Range<Int>

  /// Whether the kernel itself wrote it, as far as is known.
  public var isKernels: Bool { facility ?? 0 == 0 }

  /// `T123` for a thread, `C1` for a CPU, as the kernel prints it with CONFIG_PRINTK_CALLER.
  public var callerText: String? {
    caller.map { $0 & 1 << 31 != 0 ? "C\($0 & ~(1 << 31))" : "T\($0)" }
  }
}

/// Where facility, level and caller stand in a record's header. All of them follow the text's length, in a
/// layout that is checked by the one member of them that VMCOREINFO names.
struct LogRecordLayout: Sendable {
  /// Offset of the byte with the facility; the next has the flags in bits 0 to 4 and the level in bits 5 to 7
  /// (the other way round on big-endian machines).
  var facility: UInt64?
  var caller: UInt64?

  /// Of struct printk_info: `u16 text_len; u8 facility; u8 flags:5, level:3; u32 caller_id`.
  static func ofRing(lengthOffset: UInt64, callerOffset: Int?) -> LogRecordLayout {
    guard let callerOffset, UInt64(callerOffset) == lengthOffset + 4 else { return LogRecordLayout() }
    return LogRecordLayout(facility: lengthOffset + 2, caller: UInt64(callerOffset))
  }

  /// Of struct printk_log: `u16 len, text_len, dict_len; u8 facility; u8 flags:5, level:3`.
  static func ofRecords(lengthOffset: UInt64, dictionaryOffset: Int?) -> LogRecordLayout {
    guard let dictionaryOffset, UInt64(dictionaryOffset) == lengthOffset + 4 else { return LogRecordLayout() }
    return LogRecordLayout(facility: lengthOffset + 6)
  }

  /// What the header at `address` says beside `nanoseconds`; the text's place is set by who has it.
  func record(_ memory: KernelMemory, at address: UInt64, nanoseconds: UInt64) -> LogRecord {
    var record = LogRecord(nanoseconds: nanoseconds, text: 0..<0)
    if let facility, let bytes = try? memory.read(VirtualAddress(address + facility), count: 2) {
      record.facility = bytes[0]
      record.level = memory.byteOrder == .little ? bytes[1] >> 5 : bytes[1] & 7
    }
    if let caller { record.caller = try? memory.u32(VirtualAddress(address + caller)) }
    return record
  }
}
