internal import CoreEncoding
internal import DumpBasics

/// The notes of a source: those that its PT_NOTEs hold, found again behind damage, and without a PT_NOTE that
/// can be read those that stand between the headers and the memory.
struct NoteClaims {
  private(set) var notes: [DumpNote] = []
  /// Notes that are too large to be held: device dumps.
  private(set) var large: [LargeNote] = []

  /// Notes that are held take at most this in sum; a machine with 8192 CPUs has 3 MiB.
  private static let heldLimit = 64 << 20
  /// A note of more than this is left in the file and copied from there. The kernel's own are below 64 KiB;
  /// the note MCORE of a machine of 4 TiB is below this.
  private static let largeLimit: UInt64 = 16 << 20
  /// Bytes that are looked through for one more note behind damage.
  private static let searchLimit: UInt64 = 1 << 20
  /// Names of the notes of cores (include/uapi/linux/elf.h, kernel/vmcore_info.c, fs/proc/vmcore.c, QEMU).
  private static let names = ["CORE", "VMCOREINFO", "LINUX", "QEMU", "MCORE", "Xen"]

  init(_ entries: [ELFProgramHeader], _ claims: HeaderClaims, _ content: any Content, _ findings: inout [DumpError]) {
    var isComplete = true
    for (index, entry) in entries.enumerated() where entry.type == ELFProgramHeader.note && entry.fileSize > 0 {
      let place = "\(content.name), program header \(index)"
      let (end, overflow) = entry.offset.addingReportingOverflow(entry.fileSize)
      if overflow || end > content.size {
        isComplete = false
        findings.append(
          DumpError(
            "notes at \(hex(entry.offset)), \(entry.fileSize) bytes, run past the end", at: place,
            advice: "those that are there are taken"))
      }
      if entry.offset < content.size {
        isComplete =
          read(entry.offset..<min(overflow ? .max : end, content.size), content, claims, place, &findings) && isComplete
      }
    }
    if !isComplete || notes.isEmpty { search(entries, claims, content, &findings) }
    if notes.isEmpty { findings.append(DumpError("no notes: no registers, no VMCOREINFO", at: content.name)) }
  }

  /// Goes from note to note by their headers. False where something was wrong.
  private mutating func read(
    _ range: Range<UInt64>, _ content: any Content, _ claims: HeaderClaims, _ place: String, _ findings: inout [DumpError]
  ) -> Bool {
    var offset = range.lowerBound
    var isWhole = true
    var held = 0
    let order = claims.header.identity.byteOrder
    while offset < range.upperBound, range.upperBound - offset >= 12 {
      if let note = NoteHeader(content, at: offset, before: range.upperBound, order) {
        if note.isEmpty {
          // Zeros at the end are padding, which some writers leave: what lies behind a gap is looked for.
          guard let next = nextNote(content, from: offset + 4, before: range.upperBound, order) else { return isWhole }
          findings.append(DumpError("\(next - offset) bytes between two notes", at: "\(place), notes at \(hex(offset))"))
          isWhole = false
          offset = next
          continue
        }
        if note.descriptorSize > NoteClaims.largeLimit || held + Int(note.descriptorSize) > NoteClaims.heldLimit {
          large.append(LargeNote(name: note.name, type: note.type, offset: note.descriptor, size: note.descriptorSize))
        } else if let descriptor = try? content.bytes(at: note.descriptor, count: Int(note.descriptorSize)) {
          held += descriptor.count
          notes.append(DumpNote(name: note.name, type: note.type, descriptor: descriptor))
        }
        offset = note.next
      } else {
        isWhole = false
        findings.append(
          DumpError(
            "a note is damaged", at: "\(place), notes at \(hex(offset))", advice: "those behind it are looked for"))
        guard let next = nextNote(content, from: offset + 4, before: range.upperBound, order) else { return false }
        offset = next
      }
    }
    return isWhole
  }

  /// Where the next note with a name that cores have begins.
  private func nextNote(_ content: any Content, from start: UInt64, before end: UInt64, _ order: ByteOrder) -> UInt64? {
    let stop = min(end, clampedSum(start, NoteClaims.searchLimit))
    guard start < stop, let bytes = try? content.bytes(at: start, count: Int(stop - start)) else { return nil }
    for offset in stride(from: 0, to: max(0, bytes.count - 16), by: 4) where NoteClaims.isNamed(bytes, offset) {
      if let note = NoteHeader(content, at: start + UInt64(offset), before: end, order), !note.isEmpty,
        NoteClaims.names.contains(note.name)
      {
        return start + UInt64(offset)
      }
    }
    return nil
  }

  /// Whether the bytes where a note's name would stand begin one of the names.
  private static func isNamed(_ bytes: [UInt8], _ offset: Int) -> Bool {
    names.contains { name in
      let utf8 = Array(name.utf8.prefix(4))
      return offset + 12 + utf8.count <= bytes.count && bytes[(offset + 12)..<(offset + 12 + utf8.count)].elementsEqual(utf8)
    }
  }

  /// Without a PT_NOTE that leads anywhere: notes stand between the program headers and the first memory.
  private mutating func search(
    _ entries: [ELFProgramHeader], _ claims: HeaderClaims, _ content: any Content, _ findings: inout [DumpError]
  ) {
    let start = claims.offset.addingReportingOverflow(UInt64(entries.count * ELF64.programHeaderSize)).partialValue
    let memory = entries.filter { $0.type == ELFProgramHeader.load && $0.offset >= start && $0.fileSize > 0 }.map(\.offset).min()
    let end = min(memory ?? 0, content.size)
    let order = claims.header.identity.byteOrder
    guard start < end, let first = nextNote(content, from: start, before: end, order) else { return }
    var others = NoteClaims()
    var ignored: [DumpError] = []
    _ = others.read(first..<end, content, claims, "", &ignored)
    let new = others.notes.filter { !notes.contains($0) }
    guard !new.isEmpty else { return }
    notes += new
    findings.append(
      DumpError(
        "no program header leads to \(new.count) of the notes: they were found at \(hex(first))", at: content.name))
  }

  private init() {}
}

/// One note's header, checked against the bytes that there are: System V gABI, "Note Section"; Linux pads
/// name and descriptor to 4 bytes.
private struct NoteHeader {
  var name: String
  var type: UInt32
  var descriptor: UInt64
  var descriptorSize: UInt64
  var next: UInt64
  var isEmpty: Bool

  /// Nil where what stands at `offset` can't be a note.
  init?(_ content: any Content, at offset: UInt64, before end: UInt64, _ order: ByteOrder) {
    guard end >= 12, offset <= end - 12, let header = try? content.bytes(at: offset, count: 12) else { return nil }
    let reader = ByteReader(header, order)
    guard let nameSize = reader.u32(0), let size = reader.u32(4), let type = reader.u32(8) else { return nil }
    isEmpty = nameSize == 0 && size == 0 && type == 0
    self.type = type
    if isEmpty {
      (name, descriptor, descriptorSize, next) = ("", offset + 12, 0, offset + 12)
      return
    }
    guard (1...64).contains(nameSize) else { return nil }
    let padded = { (count: UInt32) in (UInt64(count) + 3) / 4 * 4 }
    descriptor = offset + 12 + padded(nameSize)
    descriptorSize = UInt64(size)
    guard descriptor <= end, descriptorSize <= end - descriptor,
      let text = try? content.bytes(at: offset + 12, count: Int(nameSize)),
      text.allSatisfy({ $0 == 0 || (0x20...0x7e).contains($0) })
    else { return nil }
    name = String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
    next = min(end, descriptor + padded(size))
  }
}

/// A note that stays in the file.
public struct LargeNote: Sendable, Equatable {
  public var name: String
  public var type: UInt32
  /// Where its descriptor stands in the (decompressed) source, and its bytes.
  public var offset: UInt64
  public var size: UInt64
}
