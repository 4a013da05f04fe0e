internal import DumpBasics

/// Puts log records into lines as dmesg prints them.
struct LogText: Sendable {
  private(set) var bytes: [UInt8] = []

  /// One record: `[    1.234567] text`, and a newline. A newline inside `text` is followed by blanks as wide
  /// as the prefix. Returns where the text stands.
  @discardableResult
  mutating func append(nanoseconds: UInt64, _ text: [UInt8]) -> Range<Int> {
    let start = bytes.count
    bytes += "[".utf8
    pad(String(nanoseconds / 1_000_000_000), to: 5, with: " ")
    bytes += ".".utf8
    pad(String(nanoseconds % 1_000_000_000 / 1000), to: 6, with: "0")
    bytes += "] ".utf8
    let begin = bytes.count
    escape(text, continuation: begin - start)
    bytes.append(UInt8(ascii: "\n"))
    return begin..<bytes.count - 1
  }

  /// Text without records, as kernels before 3.5 have it. Escaped like a record's: it may end on a terminal.
  mutating func append(raw text: [UInt8]) { escape(text, continuation: 0) }

  mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

  private mutating func pad(_ text: String, to width: Int, with filler: Character) {
    bytes += String(repeating: filler, count: max(0, width - text.utf8.count)).utf8
    bytes += text.utf8
  }

  /// Printable text passes, UTF-8 included; everything else becomes `\xNN`: control characters of both kinds,
  /// what turns the direction of text, and bytes that are no UTF-8.
  private mutating func escape(_ text: [UInt8], continuation: Int) {
    var index = 0
    while index < text.count {
      let byte = text[index]
      switch byte {
      case 0x20...0x7e, UInt8(ascii: "\t"):
        bytes.append(byte)
        index += 1
      case UInt8(ascii: "\n"):
        bytes.append(byte)
        bytes += repeatElement(UInt8(ascii: " "), count: continuation)
        index += 1
      default:
        let length = LogText.characterLength(text[index...])
        if length > 1 {
          bytes += text[index..<index + length]
          index += length
        } else {
          bytes += "\\x\(byte < 0x10 ? "0" : "")\(String(byte, radix: 16))".utf8
          index += 1
        }
      }
    }
  }

  /// Bytes of the character of two bytes or more that `text` begins with; 0 where it begins with none that
  /// may be printed (RFC 3629, 4; U+0080 to U+009F are control characters).
  private static func characterLength(_ text: ArraySlice<UInt8>) -> Int {
    let bytes = Array(text.prefix(4))
    guard let first = bytes.first, first >= 0xc2, first <= 0xf4 else { return 0 }
    let length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
    guard bytes.count >= length, bytes[1..<length].allSatisfy({ $0 & 0xc0 == 0x80 }) else { return 0 }
    switch (first, bytes[1]) {
    // Control characters, overlong forms, surrogates, beyond U+10FFFF.
    case (0xc2, 0x80..<0xa0), (0xe0, 0x80..<0xa0), (0xed, 0xa0...), (0xf0, 0x80..<0x90), (0xf4, 0x90...): return 0
    default: break
    }
    if length == 4 { return length }
    let low = UInt32(bytes[length - 1] & 63) | UInt32(length == 3 ? bytes[1] & 63 : first & 31) << 6
    return isInvisibleFormat(length == 3 ? low | UInt32(first & 15) << 12 : low) ? 0 : length
  }
}
