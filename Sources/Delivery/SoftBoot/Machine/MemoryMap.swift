public import DumpBasics

/// The machine's memory map as its firmware gave it. `mcore arm` records it, since inside the crash kernel it
/// is gone (/sys/firmware/memmap has the crash kernel's own there). docs/soft-boot.md has the form.
public struct MemoryMap: Sendable, Equatable {
  public enum Kind: Sendable {
    case usable
    /// Tables and non-volatile storage: the kernel reads them, and never takes them for its own.
    case acpi
    /// Set aside by `memmap=SIZE!ADDRESS`, or by firmware in that old way.
    case persistent
    case reserved
  }

  public struct Entry: Sendable, Equatable {
    public var range: PhysicalRange
    public var kind: Kind
    public init(_ range: PhysicalRange, _ kind: Kind) {
      self.range = range
      self.kind = kind
    }
  }

  public internal(set) var entries: [Entry] = []
  /// A machine with more is damaged input, not a machine.
  private static let limit = 1024

  public init(_ entries: [Entry], at place: String) throws(DumpError) {
    guard entries.contains(where: { $0.kind == .usable }) else { throw DumpError("a memory map without RAM", at: place) }
    guard entries.count <= MemoryMap.limit else { throw DumpError("a memory map of \(entries.count) lines", at: place) }
    self.entries = entries
  }

  /// A line for each range: `0x100000-0x7ffdbfff System RAM`, both ends included, with the kernel's words for
  /// what it is (e820_type_to_string in arch/x86/kernel/e820.c, Linux 6.1).
  public init(record text: String, at place: String) throws(DumpError) {
    var entries: [Entry] = []
    for line in text.utf8.split(separator: 0x0a) where entries.count <= MemoryMap.limit {
      let parts = line.split(separator: 0x20, maxSplits: 1)
      guard parts.count == 2, let range = MemoryMap.range(parts[0]) else {
        throw DumpError("no line of a memory map: \(String(decoding: line.prefix(80), as: UTF8.self))", at: place)
      }
      if let kind = MemoryMap.kind(parts[1]) { entries.append(Entry(range, kind)) }
    }
    try self.init(entries, at: place)
  }

  /// Nil for what the next kernel finds by itself: modules that ACPI describes (NFIT) need no range here.
  private static func kind(_ words: Substring.UTF8View) -> Kind? {
    if words.elementsEqual("System RAM".utf8) { return .usable }
    if words.starts(with: "ACPI".utf8) { return .acpi }
    if words.elementsEqual("Persistent Memory".utf8) { return nil }
    return words.starts(with: "Persistent Memory".utf8) ? .persistent : .reserved
  }

  /// `0x100000-0x7ffdbfff`, both ends included.
  static func range(_ text: Substring.UTF8View) -> PhysicalRange? {
    let bounds = text.split(separator: 0x2d).map { MemoryMap.number($0) }
    guard bounds.count == 2, let start = bounds[0], let last = bounds[1], last < .max else { return nil }
    return PhysicalRange(start, last + 1)
  }

  /// Hexadecimal with 0x, as sysfs has addresses.
  static func number(_ text: Substring.UTF8View) -> UInt64? {
    guard text.starts(with: [0x30, 0x78]) else { return nil }
    return UInt64(String(decoding: text.dropFirst(2), as: UTF8.self), radix: 16)
  }

  /// All RAM: sorted, disjoint.
  public var usable: [PhysicalRange] { RangeSet.joined(entries.filter { $0.kind == .usable }.map(\.range)) }

  /// What is no RAM by this map.
  public var unusable: [PhysicalRange] {
    PhysicalRange(0, .max).map { RangeSet.subtracting(usable, from: $0) } ?? []
  }

  /// A number for this map, by its RAM alone: what a region has to agree with. Never 0.
  public var geometry: UInt64 {
    var writer = ByteWriter(.little)
    for range in usable {
      writer.u64(range.start)
      writer.u64(range.end)
    }
    return UInt64(CRC32C.of(writer.bytes)) | UInt64(usable.count) << 32
  }

  /// The words of the kernel command line (Documentation/admin-guide/kernel-parameters.txt, `memmap=`) that
  /// give all of this map to the next kernel, with `region` set aside as persistent memory, and `parked`
  /// reserved. Where `limit` bytes do not hold all of it, reserved ranges are left out, since ACPI tells the
  /// kernel most of them again; then all of `parked` but its first range.
  func commandLine(_ region: [PhysicalRange], parked: [PhysicalRange] = [], limit: Int) throws(DumpError) -> String {
    let ram = usable
    for extent in region where !ram.contains(where: { $0.intersection(extent) == extent }) {
      throw DumpError("not in RAM by the memory map that was recorded", at: "memory:, \(extent)")
    }
    let holes = RangeSet.joined(region)
    let (whole, least) = (words(holes, parked), words(holes, Array(parked.prefix(1))))
    for words in [whole.all, whole.needed, least.all, least.needed] where words.utf8.count <= limit { return words }
    throw DumpError(
      .full, "the memory map takes \(least.needed.utf8.count) bytes of the command line, and there are \(max(0, limit))",
      at: "memory:")
  }

  /// With reserved ranges and without.
  func words(_ holes: [PhysicalRange], _ parked: [PhysicalRange] = []) -> (all: String, needed: String) {
    let taken = RangeSet.joined(holes + parked)
    var parts = usable.flatMap { RangeSet.subtracting(taken, from: $0) }.map { MemoryMap.word($0, "@") }
    for entry in entries where entry.kind == .acpi { parts.append(MemoryMap.word(entry.range, "#")) }
    for entry in entries where entry.kind == .persistent { parts.append(MemoryMap.word(entry.range, "!")) }
    for hole in holes { parts.append(MemoryMap.word(hole, "!")) }
    for range in parked { parts.append(MemoryMap.word(range, "$")) }
    let needed = "memmap=exactmap memmap=" + MemoryMap.joined(parts)
    for entry in entries where entry.kind == .reserved { parts.append(MemoryMap.word(entry.range, "$")) }
    let all = "memmap=exactmap memmap=" + MemoryMap.joined(parts)
    return (all, needed)
  }

  private static func joined(_ parts: [String]) -> String {
    var text = ""
    for part in parts { text += (text.isEmpty ? "" : ",") + part }
    return text
  }

  private static func word(_ range: PhysicalRange, _ kind: String) -> String {
    shortest(range.count) + kind + shortest(range.start)
  }

  /// As the kernel's memparse takes it: hexadecimal, or decimal with a unit.
  private static func shortest(_ value: UInt64) -> String {
    let plain = hex(value)
    for (shift, unit) in [(UInt64(30), "G"), (20, "M"), (10, "K")] where value & (1 << shift - 1) == 0 {
      let short = "\(value >> shift)\(value == 0 ? "" : unit)"
      return short.utf8.count < plain.utf8.count ? short : plain
    }
    return plain
  }
}
