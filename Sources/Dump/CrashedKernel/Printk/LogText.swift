internal import DumpBasics

/// Puts log records into the form that `makedumpfile --dump-dmesg` prints (1.7.2: printk.c, `dump_record`).
struct LogText: Sendable {
  private(set) var bytes: [UInt8] = []
  /// makedumpfile prints a byte by `\x%02x` of a C `char`. Where that is signed, as on x86_64, bytes from
  /// 0x80 up come out with their sign extended: `\xffffffe2`. People compare the two texts, so this is part
  /// of the form.
  private let signExtends: Bool

  init(_ architecture: Architecture) {
    switch architecture {
    case .x86_64: signExtends = true
    case .arm64: signExtends = false
    }
  }

  /// One record: `[    1.234567] text`, and a newline. A newline inside `text` is followed by blanks as wide
  /// as the prefix.
  mutating func append(nanoseconds: UInt64, _ text: some Sequence<UInt8>) {
    let start = bytes.count
    bytes += "[".utf8
    pad(String(nanoseconds / 1_000_000_000), to: 5, with: " ")
    bytes += ".".utf8
    pad(String(nanoseconds % 1_000_000_000 / 1000), to: 6, with: "0")
    bytes += "] ".utf8
    let width = bytes.count - start
    for byte in text {
      bytes.append(escaping: byte, signExtends)
      if byte == UInt8(ascii: "\n") { bytes += repeatElement(UInt8(ascii: " "), count: width) }
    }
    bytes.append(UInt8(ascii: "\n"))
  }

  /// Text without records, as kernels before 3.5 have it. Escaped like a record's: it may end on a terminal.
  mutating func append(raw text: some Sequence<UInt8>) {
    for byte in text { bytes.append(escaping: byte, signExtends) }
  }

  mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

  private mutating func pad(_ text: String, to width: Int, with filler: Character) {
    bytes += String(repeating: filler, count: max(0, width - text.utf8.count)).utf8
    bytes += text.utf8
  }
}

extension [UInt8] {
  /// C's isprint and isspace in the C locale: what passes as it is.
  fileprivate mutating func append(escaping byte: UInt8, _ signExtends: Bool) {
    switch byte {
    case 0x20...0x7e, 0x09...0x0d:
      append(byte)
    default:
      let digits = String(byte, radix: 16)
      let lead = byte < 0x10 ? "0" : byte >= 0x80 && signExtends ? "ffffff" : ""
      self += "\\x\(lead)\(digits)".utf8
    }
  }
}
