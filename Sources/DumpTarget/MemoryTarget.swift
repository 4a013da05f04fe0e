public import DumpBasics
internal import SoftBoot

/// `memory:`: the region of the soft boot. Where it lies is known only when the crashed kernel has been looked through, so
/// that opening it is another way than that of the other kinds: `MemoryDestination`.
struct MemoryTarget: TargetKind {
  static let form = "memory: (in a crash kernel)"

  /// Windows that were set aside for it: none for memory that the crashed kernel did not use.
  let windows: [PhysicalRange]

  init?(parsing word: String) throws(DumpError) {
    guard let list = word.dropping(prefix: "memory:") else { return nil }
    var windows: [PhysicalRange] = []
    for part in list.utf8.split(separator: 0x2c) {
      guard let (size, start) = String(Substring(part)).split(atFirst: "@"), let size = MemoryTarget.number(size),
        let start = MemoryTarget.number(start), let window = PhysicalRange(start: start, count: size)
      else {
        throw DumpError(
          .usage, "'\(String(Substring(part)))' is no window of memory", at: word,
          advice: "write memory: alone, or SIZE@ADDRESS as memmap= has it, such as memory:0x10000000@0x20000000")
      }
      windows.append(window)
    }
    if !windows.isEmpty {
      do throws(DumpError) { _ = try RegionExtents(windows) } catch {
        throw DumpError(.usage, error.what, at: word, advice: error.advice)
      }
    }
    self.windows = windows
  }

  func open(dumpName: String) throws(DumpError) -> any Destination {
    throw DumpError(
      .usage, "memory: takes the dump of a crashed kernel alone", at: "memory:", advice: "name a directory or a file")
  }

  /// Decimal, or hexadecimal with 0x; K, M or G behind it, as the kernel's memparse has them.
  private static func number(_ text: String) -> UInt64? {
    var digits = Array(text.utf8)
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

extension TargetSpec {
  /// For `memory:` the windows that the word names (none: they are to be found); nil for every other kind.
  public var memoryWindows: [PhysicalRange]? { (kind as? MemoryTarget)?.windows }
}
