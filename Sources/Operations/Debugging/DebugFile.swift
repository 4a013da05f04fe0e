internal import CoreEncoding
public import DumpBasics
internal import KernelReport
internal import LinuxSystem

/// What a file with debug information says of itself: a vmlinux, or a `.debug` file beside one.
public struct DebugFile: Sendable, Equatable {
  public let path: String
  public let machine: Architecture?
  /// In hex digits; nil where it has none.
  public let buildID: String?
  /// Whether it has DWARF, which crash, drgn and gdb go by.
  public let hasDebugInformation: Bool

  /// Far more sections than a kernel has, even one with a section for each function.
  private static let sectionLimit: UInt64 = 1 << 17
  private static let notesLimit: UInt64 = 1 << 20
  private static let namesLimit: UInt64 = 16 << 20

  /// - Throws: when it can't be read, or is no ELF file of a 64-bit machine.
  public init(_ path: String) throws(DumpError) {
    self.path = path
    let file = try File(path, .read)
    let size = try file.size()
    let header = try file.bytes(at: 0, count: ELF64.headerSize)
    guard header.count == ELF64.headerSize, header.starts(with: [0x7f, 0x45, 0x4c, 0x46]), header[4] == 2,
      let order = ByteOrder(rawValue: header[5])
    else { throw DumpError("no ELF file of a 64-bit machine", at: path, advice: "a vmlinux with debug information is needed") }
    let reader = ByteReader(header, order)
    machine = reader.u16(0x12).flatMap { Architecture(elfMachine: $0) }
    let identity = MachineIdentity(machine ?? .x86_64, order)

    func bytes(_ offset: UInt64, _ count: UInt64, limit: UInt64) throws(DumpError) -> [UInt8] {
      guard count <= limit, offset <= size, count <= size - offset else { return [] }
      return try file.bytes(at: offset, count: Int(count))
    }
    func buildID(_ offset: UInt64, _ count: UInt64) throws(DumpError) -> String? {
      let notes = ELF64.decodeNotes(try bytes(offset, count, limit: DebugFile.notesLimit), identity).notes
      return notes.lazy.compactMap(\.buildID).first
    }

    var found: String?
    let sections = try DebugFile.sections(reader, order, bytes)
    for section in sections where found == nil && section.type == Section.note {
      found = try buildID(section.offset, section.size)
    }
    if found == nil, let offset = reader.u64(0x20), let count = reader.u16(0x38) {
      let table = ByteReader(try bytes(offset, UInt64(count) * UInt64(ELF64.programHeaderSize), limit: 4 << 20), order)
      for index in 0..<Int(count) where found == nil {
        let place = index * ELF64.programHeaderSize
        guard table.u32(place) == ELFProgramHeader.note, let start = table.u64(place + 8), let size = table.u64(place + 32)
        else { continue }
        found = try buildID(start, size)
      }
    }
    self.buildID = found

    let namesIndex = Int(reader.u16(0x3e) ?? 0)
    let names =
      sections.indices.contains(namesIndex)
      ? try bytes(sections[namesIndex].offset, sections[namesIndex].size, limit: DebugFile.namesLimit) : []
    let text = ByteReader(names, order)
    hasDebugInformation = sections.contains { section in
      section.type == Section.program && section.size > 0
        && [".debug_info", ".zdebug_info"].contains(text.text(Int(section.name), limit: 16) ?? "")
    }
  }

  /// Elf64_Shdr, as far as it is needed.
  private struct Section {
    static let program: UInt32 = 1
    static let note: UInt32 = 7
    var name: UInt32
    var type: UInt32
    var offset: UInt64
    var size: UInt64
  }

  private static func sections(
    _ header: ByteReader, _ order: ByteOrder, _ bytes: (UInt64, UInt64, UInt64) throws(DumpError) -> [UInt8]
  ) throws(DumpError) -> [Section] {
    let size = UInt64(ELF64.sectionHeaderSize)
    guard let offset = header.u64(0x28), offset > 0, header.u16(0x3a) == UInt16(size), let short = header.u16(0x3c) else {
      return []
    }
    var count = UInt64(short)
    // With more sections than 16 bits hold, the number stands in the first one's sh_size.
    if count == 0 { count = ByteReader(try bytes(offset, size, size), order).u64(32) ?? 0 }
    guard count <= sectionLimit else { return [] }
    let table = ByteReader(try bytes(offset, count * size, sectionLimit * size), order)
    return (0..<Int(count)).compactMap { index in
      let place = index * Int(size)
      guard let name = table.u32(place), let type = table.u32(place + 4), let start = table.u64(place + 24),
        let length = table.u64(place + 32)
      else { return nil }
      return Section(name: name, type: type, offset: start, size: length)
    }
  }
}
