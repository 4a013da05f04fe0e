public import DumpBasics

extension RegionExtents {
  /// `SIZE@ADDRESS[,SIZE@ADDRESS...]`, as `memmap=` has ranges.
  public init(word: String) throws(DumpError) {
    var ranges: [PhysicalRange] = []
    for part in word.utf8.split(separator: 0x2c, omittingEmptySubsequences: false) {
      let numbers = part.split(separator: 0x40, omittingEmptySubsequences: false).map { RegionExtents.number($0) }
      guard numbers.count == 2, let size = numbers[0], let start = numbers[1],
        let range = PhysicalRange(start: start, count: size), ranges.count < RegionExtents.limit
      else {
        throw DumpError(
          .usage, "'\(String(Substring(part)))' is no window of memory", at: word,
          advice: "write SIZE@ADDRESS as memmap= has it, such as 0x10000000@0x20000000")
      }
      ranges.append(range)
    }
    do throws(DumpError) { try self.init(ranges) } catch { throw DumpError(.usage, error.what, at: word, advice: error.advice) }
  }

  /// Decimal, or hexadecimal with 0x; K, M or G behind it, as the kernel's memparse has them.
  static func number(_ text: Substring.UTF8View) -> UInt64? {
    var digits = Array(text)
    var shift: UInt64 = 0
    if let unit = digits.last, let index = [0x6b, 0x6d, 0x67].firstIndex(of: unit | 0x20) {
      shift = 10 * UInt64(index + 1)
      digits.removeLast()
    }
    let isHex = digits.starts(with: [0x30, 0x78])
    let plain = String(decoding: isHex ? digits[2...] : digits[...], as: UTF8.self)
    guard plain.utf8.allSatisfy({ $0 != 0x2b && $0 != 0x2d }), let value = UInt64(plain, radix: isHex ? 16 : 10),
      value <= .max >> shift
    else { return nil }
    return value << shift
  }
}
