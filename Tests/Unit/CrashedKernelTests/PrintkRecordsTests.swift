import CrashedKernel
import DumpBasics
import Testing

/// The record buffer of 3.5 to 5.9, as 4.19 lays it out, and the text before.
private struct RecordBuffer {
  var machine = SyntheticMachine()
  let size: UInt64
  var first: UInt64 = 0
  var next: UInt64 = 0
  static let base: UInt64 = 0x200_0000
  static let buffer: UInt64 = 0x200_1000
  static let virtual: UInt64 = 0xffff_8880_0000_0000

  init(size: UInt64 = 1024) {
    self.size = size
    machine.map(Self.virtual + Self.base, Self.base, leaf: 21)
    func symbol(_ name: String, _ offset: UInt64) -> String {
      "SYMBOL(\(name))=" + String(Self.virtual + Self.base + offset, radix: 16)
    }
    machine.info += [
      symbol("log_buf", 0), symbol("log_buf_len", 8), symbol("log_first_idx", 12), symbol("log_next_idx", 16),
      "SIZE(printk_log)=16", "OFFSET(printk_log.ts_nsec)=0", "OFFSET(printk_log.len)=8",
      "OFFSET(printk_log.text_len)=10", "OFFSET(printk_log.dict_len)=12",
    ]
    machine.write(Self.buffer, [UInt8](repeating: 0, count: Int(size)))
    machine.write(Self.base, u64: Self.virtual + Self.buffer)
    machine.write(Self.base + 8, u32: UInt32(size))
    finish()
  }

  mutating func finish() {
    machine.write(Self.base + 12, u32: UInt32(truncatingIfNeeded: first))
    machine.write(Self.base + 16, u32: UInt32(truncatingIfNeeded: next))
  }

  mutating func add(_ text: String, at nanoseconds: UInt64, dictionary: String = "") {
    let length = (16 + UInt64(text.utf8.count + dictionary.utf8.count) + 3) & ~3
    if next + length + 16 > size {
      machine.write(Self.buffer + next, [UInt8](repeating: 0, count: 16))
      next = 0
    }
    machine.write(Self.buffer + next, u64: nanoseconds)
    machine.write(Self.buffer + next + 8, u16: UInt16(length))
    machine.write(Self.buffer + next + 10, u16: UInt16(text.utf8.count))
    machine.write(Self.buffer + next + 16, Array((text + dictionary).utf8))
    next += length
    finish()
  }

  func log() throws -> KernelLog { try CrashedKernel(machine.source).log() }
}

@Suite struct PrintkRecordsTests {
  @Test func recordsArePrintedWithoutTheirDictionaries() throws {
    var buffer = RecordBuffer()
    buffer.add("Linux version 4.19", at: 0)
    buffer.add("usb 1-1: new\nline", at: 2_500_000_000, dictionary: "SUBSYSTEM=usb\0DEVICE=c189:1")
    let log = try buffer.log()
    #expect(log.lines == ["[    0.000000] Linux version 4.19", "[    2.500000] usb 1-1: new", "               line"])
    #expect(log.form == .records && log.records == 2 && log.damaged == 0)
  }

  @Test func aBufferThatWrappedIsReadFromTheFirstOverTheEndToTheLast() throws {
    var buffer = RecordBuffer(size: 256)
    for number in 0..<6 { buffer.add("record \(number) xxxxxxxxxxxx", at: 0) }
    // Five of 40 bytes fit; the sixth is at the start, over the first. The oldest left is the second.
    buffer.first = 40
    buffer.finish()
    let log = try buffer.log()
    #expect(log.lines.map { $0.split(separator: " ")[3] } == ["1", "2", "3", "4", "5"])
    #expect(log.damaged == 0)
  }

  @Test func anEmptyBufferIsAnEmptyLog() throws {
    let log = try RecordBuffer().log()
    #expect(log.bytes.isEmpty && log.lines.isEmpty && log.damaged == 0)
  }

  @Test func aSecondEndMarkerIsNotFollowed() throws {
    var buffer = RecordBuffer()
    buffer.first = 512
    buffer.next = 800
    buffer.finish()
    let log = try buffer.log()
    #expect(log.records == 0 && log.damaged == 1)
  }

  @Test(arguments: [1, 15, 2000, 65535] as [UInt16])
  func aDamagedLengthEndsTheLogWithWhatIsWhole(length: UInt16) throws {
    var buffer = RecordBuffer()
    buffer.add("whole", at: 0)
    let at = buffer.next
    buffer.add("damaged", at: 0)
    buffer.add("lost", at: 0)
    buffer.machine.write(RecordBuffer.buffer + at + 8, u16: length)
    let log = try buffer.log()
    #expect(log.lines == ["[    0.000000] whole"])
    #expect(log.damaged == 1 && !log.findings.isEmpty)
  }

  @Test func recordsThatStepOverTheLastDoNotGoRoundForever() throws {
    var buffer = RecordBuffer(size: 256)
    for number in 0..<6 { buffer.add("record \(number) xxxxxxxxxxxx", at: 0) }
    buffer.first = 40
    buffer.next = 36
    buffer.finish()
    let log = try buffer.log()
    #expect(log.records <= 6 && log.damaged == 1)
  }

  @Test(arguments: [(0, 0), (1024, 2000), (1 << 31 | 1, 0), (UInt32.max, 0)] as [(UInt32, UInt32)])
  func sizesThatDoNotFitAreErrors(size: UInt32, first: UInt32) throws {
    var buffer = RecordBuffer()
    buffer.add("a", at: 0)
    buffer.machine.write(RecordBuffer.base + 8, u32: size)
    buffer.machine.write(RecordBuffer.base + 12, u32: first)
    #expect(throws: DumpError.self) { try buffer.log() }
  }

  @Test func textBeforeRecordsIsReadFromItsOldestByte() throws {
    var buffer = RecordBuffer(size: 16)
    buffer.machine.info.removeAll { $0.contains("_idx") }
    buffer.machine.info.append("SYMBOL(log_end)=" + String(RecordBuffer.virtual + RecordBuffer.base + 12, radix: 16))
    buffer.machine.write(RecordBuffer.buffer, Array("CDEF\n<4>x\u{1b}[6789B".utf8.prefix(16)))
    buffer.machine.write(RecordBuffer.base + 12, u32: 4)
    #expect(try buffer.log().text == "CDEF")
    buffer.machine.write(RecordBuffer.base + 12, u32: 16 * 7 + 5)
    let log = try buffer.log()
    #expect(log.form == .raw)
    #expect(log.text == "<4>x\\x1b[6789BCDEF\n")
    buffer.machine.write(RecordBuffer.base + 8, u32: 48)
    #expect(throws: DumpError.self) { try buffer.log() }
  }
}
