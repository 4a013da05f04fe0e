internal import DumpBasics

/// The log of kernels before 3.5: plain text in a ring, `log_end` counting every byte ever written.
struct PrintkText {
  private let memory: KernelMemory
  private let buffer: VirtualAddress
  private let size: UInt64
  private let end: UInt64

  /// CONFIG_LOG_BUF_SHIFT is at most 21 there, `log_buf_len=` could give more.
  private static let sizeLimit: UInt64 = 16 << 20

  init(_ memory: KernelMemory, _ info: VMCoreInfo) throws(DumpError) {
    self.memory = memory
    buffer = try memory.pointer(try info.requireSymbol("log_buf"))
    size = UInt64(try memory.u32(try info.requireSymbol("log_buf_len")))
    // `unsigned` since 2.6.25, `unsigned long` before; no 64-bit crash kernel is older.
    end = UInt64(try memory.u32(try info.requireSymbol("log_end")))
    guard size > 0, size <= PrintkText.sizeLimit, size.nonzeroBitCount == 1 else {
      throw DumpError("log_buf_len \(size) is no size of a log", at: "log_buf \(buffer)")
    }
    _ = try buffer.inside(size)
  }

  func render() throws(DumpError) -> KernelLog {
    var text = LogText()
    if end <= size {
      text.append(raw: try memory.read(buffer, count: Int(end)))
    } else {
      let oldest = end & (size - 1)
      text.append(raw: try memory.read(try buffer.inside(oldest), count: Int(size - oldest)))
      text.append(raw: try memory.read(buffer, count: Int(oldest)))
    }
    return LogTally().log(.raw, text.bytes)
  }
}
