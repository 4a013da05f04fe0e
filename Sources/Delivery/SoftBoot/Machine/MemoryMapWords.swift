internal import DumpBasics

extension MemoryMap {
  /// Of a kernel that was started with `memmap=exactmap`: its words, with the region that they set aside
  /// given back. Nil for any other command line.
  public init?(commandLine: String) {
    var entries: [Entry] = []
    var region: [PhysicalRange] = []
    var isExact = false
    for word in commandLine.utf8.split(whereSeparator: { $0 <= 0x20 }) {
      if word.elementsEqual("memmap=exactmap".utf8) {
        isExact = true
        entries = []
      } else if word.starts(with: "memmap=".utf8) {
        for part in word.dropFirst(7).split(separator: 0x2c) {
          guard let entry = MemoryMap.entry(part) else { return nil }
          entries.append(entry)
        }
      } else if word.starts(with: "mcore.region=".utf8) {
        region = (try? RegionExtents(word: String(Substring(word.dropFirst(13)))))?.ranges ?? []
      }
    }
    if !isExact { return nil }
    for index in entries.indices where entries[index].kind == .persistent && region.contains(entries[index].range) {
      entries[index].kind = .usable
    }
    try? self.init(entries, at: "the command line")
  }

  private static func entry(_ part: Substring.UTF8View) -> Entry? {
    let kinds: [UInt8: Kind] = [0x40: .usable, 0x23: .acpi, 0x21: .persistent, 0x24: .reserved]
    guard let mark = part.firstIndex(where: { kinds[$0] != nil }), let kind = kinds[part[mark]],
      let size = RegionExtents.number(part[..<mark]), let start = RegionExtents.number(part[part.index(after: mark)...]),
      let range = PhysicalRange(start: start, count: size)
    else { return nil }
    return Entry(range, kind)
  }

  /// As `init(record:)` reads it.
  public var record: String {
    var text = ""
    for entry in entries {
      let kind =
        switch entry.kind {
        case .usable: "System RAM"
        case .acpi: "ACPI Tables"
        case .persistent: "Persistent Memory (legacy)"
        case .reserved: "Reserved"
        }
      text += "\(hex(entry.range.start))-\(hex(entry.range.end - 1)) \(kind)\n"
    }
    return text
  }
}
