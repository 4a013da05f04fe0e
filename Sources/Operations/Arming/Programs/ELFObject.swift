internal import DumpBasics
internal import LinuxSystem

/// What the loader has to know of a program or a shared library: elf(5), the dynamic section.
struct ELFObject {
  /// The loader that it names; nil for a library, and for a program that is static.
  private(set) var interpreter: String?
  /// Names of libraries (DT_NEEDED).
  private(set) var needed: [String] = []
  /// Directories with libraries, as they stand there: DT_RUNPATH, or DT_RPATH where that is missing.
  private(set) var directories: [String] = []
  private(set) var machine: UInt16 = 0

  /// Programs have ten or so segments, and some dozens of dynamic entries.
  private static let segmentLimit = 128
  private static let entryLimit = 4096
  private static let textLimit = 4096
  private static let stringsLimit: UInt64 = 16 << 20

  /// A segment of the file: where it lies, and where it is in memory.
  private struct Segment {
    let type: UInt32
    let offset: UInt64
    let address: UInt64
    let size: UInt64
  }

  /// - Throws: for what is no ELF file of 64 bits in the byte order of this machine, or one that is damaged.
  init(_ path: String) throws(DumpError) {
    let file = try File(path, .read)
    let damaged = DumpError("this is no program or library of 64 bits, or it is damaged", at: path)
    let header = ByteReader(try file.bytes(at: 0, count: 64), .little)
    guard header.slice(0, 6) == [0x7f, 0x45, 0x4c, 0x46, 2, 1], let machine = header.u16(18), let table = header.u64(32),
      header.u16(54) == 56, let count = header.u16(56), count <= ELFObject.segmentLimit
    else { throw damaged }
    self.machine = machine
    let bytes = ByteReader(try file.bytes(at: table, count: 56 * Int(count)), .little)
    var segments: [Segment] = []
    for start in stride(from: 0, to: 56 * Int(count), by: 56) {
      guard let type = bytes.u32(start), let offset = bytes.u64(start + 8), let address = bytes.u64(start + 16),
        let size = bytes.u64(start + 32)
      else { throw damaged }
      segments.append(Segment(type: type, offset: offset, address: address, size: size))
    }
    if let place = segments.first(where: { $0.type == 3 }) {
      interpreter = ByteReader(try file.bytes(at: place.offset, count: ELFObject.textLimit), .little).text(
        0, limit: Int(clamping: min(place.size, UInt64(ELFObject.textLimit))))
    }
    guard let place = segments.first(where: { $0.type == 2 }) else { return }
    let entries = ByteReader(
      try file.bytes(at: place.offset, count: Int(min(place.size, UInt64(16 * ELFObject.entryLimit)))), .little)
    var names: [UInt64] = []
    var (runpath, rpath): (UInt64?, UInt64?) = (nil, nil)
    var (strings, stringsSize): (UInt64?, UInt64) = (nil, 0)
    var start = 0
    while let tag = entries.u64(start), let value = entries.u64(start + 8), tag != 0 {
      switch tag {
      case 1: names.append(value)
      case 5: strings = value
      case 10: stringsSize = value
      case 15: rpath = value
      case 29: runpath = value
      default: break
      }
      start += 16
    }
    if names.isEmpty { return }
    // The table is told by its address in memory.
    guard let strings, stringsSize <= ELFObject.stringsLimit,
      let home = segments.first(where: { $0.type == 1 && strings >= $0.address && strings - $0.address < $0.size })
    else { throw damaged }
    func text(_ offset: UInt64) throws(DumpError) -> String {
      guard offset < stringsSize else { throw damaged }
      let place = [home.offset, strings - home.address, offset].reduce(UInt64(0)) { clampedSum($0, $1) }
      let bytes = ByteReader(try file.bytes(at: place, count: ELFObject.textLimit), .little)
      guard let text = bytes.text(0, limit: ELFObject.textLimit), !text.isEmpty else { throw damaged }
      return text
    }
    for name in names { needed.append(try text(name)) }
    if let path = runpath ?? rpath {
      directories = try text(path).utf8.split(separator: 0x3a).map { String(Substring($0)) }
    }
  }
}
