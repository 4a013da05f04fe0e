internal import DumpBasics

/// The record buffer of 3.5 to 5.9: `struct printk_log` and text behind it, one after another.
///
/// kernel/printk/printk.c of those kernels; the structure was `struct log` until 3.11, with keys of that
/// name.
struct PrintkRecords {
  private let memory: KernelMemory
  private let buffer: VirtualAddress
  private let size: UInt64
  private let first: UInt64
  private let next: UInt64
  private let headerSize: UInt64
  private let timeOffset: UInt64
  private let lengthOffset: UInt64
  private let textLengthOffset: UInt64
  private let layout: LogRecordLayout

  /// `log_buf_len` is at most 2^31 bytes (LOG_BUF_LEN_MAX); read record by record.
  private static let sizeLimit: UInt64 = 1 << 31

  init(_ memory: KernelMemory, _ info: VMCoreInfo) throws(DumpError) {
    self.memory = memory
    buffer = try memory.pointer(try info.requireSymbol("log_buf"))
    size = UInt64(try memory.u32(try info.requireSymbol("log_buf_len")))
    first = UInt64(try memory.u32(try info.requireSymbol("log_first_idx")))
    next = UInt64(try memory.u32(try info.requireSymbol("log_next_idx")))
    let record = info.size("printk_log") == nil && info.size("log") != nil ? "log" : "printk_log"
    headerSize = UInt64(try info.requireSize(record))
    timeOffset = UInt64(try info.requireOffset(record + ".ts_nsec"))
    lengthOffset = UInt64(try info.requireOffset(record + ".len"))
    textLengthOffset = UInt64(try info.requireOffset(record + ".text_len"))
    layout = .ofRecords(lengthOffset: lengthOffset, dictionaryOffset: info.offset(record + ".dict_len"))
    guard size > 0, size <= PrintkRecords.sizeLimit, first < size, next <= size else {
      throw DumpError(
        "log_buf_len \(size), log_first_idx \(first) and log_next_idx \(next) do not fit together",
        at: "log_buf \(buffer)")
    }
    // With this, no address of a record leaves the address space: offsets are below `layoutLimit`.
    _ = try buffer.inside(size + UInt64(VMCoreInfo.layoutLimit))
  }

  func render() -> KernelLog {
    var tally = LogTally()
    var text = LogText()
    var entries: [LogRecord] = []
    var index = first
    var wrapped = false
    // Each step goes forward by a record (at least its header) or wraps, once: at most 2 × size / headerSize
    // steps.
    while index != next {
      do throws(DumpError) {
        let record = buffer.rawValue + index
        let length = UInt64(try memory.u16(VirtualAddress(record + lengthOffset)))
        if length == 0, !wrapped {
          // The end of the buffer: the next record is at its start.
          wrapped = true
          index = 0
          continue
        }
        guard length >= headerSize, length <= size - index else {
          throw DumpError("a record of \(length) bytes at \(index) of \(size)", at: "log_buf \(buffer)")
        }
        if wrapped, index > next || first > next && index >= first {
          throw DumpError("the records do not lead to the last", at: "log_buf \(buffer)")
        }
        let time = try memory.u64(VirtualAddress(record + timeOffset))
        let textLength = UInt64(try memory.u16(VirtualAddress(record + textLengthOffset)))
        let bytes = try memory.read(
          VirtualAddress(record + headerSize), count: Int(min(textLength, length - headerSize)))
        if text.bytes.count > KernelLog.textLimit - 8 * bytes.count - 64 {
          throw DumpError("longer than \(humanBytes(UInt64(KernelLog.textLimit)))", at: "log_buf \(buffer)")
        }
        var entry = layout.record(memory, at: record, nanoseconds: time)
        entry.text = text.append(nanoseconds: time, bytes)
        entries.append(entry)
        tally.records += 1
        index += length
      } catch {
        // Only a record says where the next begins: what follows a damaged one is lost.
        tally.damaged += 1
        tally.findings.append(error.inside("kernel log, everything after record \(tally.records)"))
        break
      }
    }
    return tally.log(.records, text.bytes, entries)
  }
}
