internal import CoreEncoding
internal import DumpBasics

/// Notes, one behind the other, in a file that may be damaged: what is small and everybody needs is held,
/// what may be of any size is left where it is.
struct NoteWalk {
  private(set) var notes: [DumpNote] = []
  /// Notes that stay in the file: device dumps.
  private(set) var large: [LargeNote] = []
  /// Bytes of notes that are held, by whether they are the kernel's and ours.
  private var held = [true: 0, false: 0]

  /// A note of more than this is left in the file and copied from there. The kernel's own are below 64 KiB.
  private static let largeLimit: UInt64 = 64 << 10
  /// The note MCORE of a machine of 4 TiB is below this.
  private static let ownLimit: UInt64 = 16 << 20
  /// In sum, of those that readers need (a machine with 8192 CPUs has 3 MiB), and of others.
  private static let heldLimits = [true: 32 << 20, false: 1 << 20]
  /// No machine has as many, and a list must have an end.
  private static let countLimit = 1 << 18
  /// Bytes that are looked through for one more note behind damage.
  private static let searchLimit: UInt64 = 1 << 20
  /// Names of the notes of cores (include/uapi/linux/elf.h, kernel/vmcore_info.c, fs/proc/vmcore.c, QEMU).
  private static let names = ["CORE", "VMCOREINFO", "LINUX", "QEMU", "MCORE", "Xen"]
  /// Those that tell of the kernel and its CPUs, and of the dump.
  private static let needed: Set<String> = ["CORE", "VMCOREINFO", "QEMU", MCoreNote.name]

  /// Goes from note to note by their headers. False where something was wrong.
  mutating func read(
    _ range: Range<UInt64>, _ content: any Content, _ order: ByteOrder, _ place: String, _ findings: inout [DumpError]
  ) -> Bool {
    var offset = range.lowerBound
    var isWhole = true
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
        guard notes.count + large.count < NoteWalk.countLimit else {
          findings.append(
            DumpError(
              "there are more than \(NoteWalk.countLimit) notes: the rest is left out", at: "\(place), notes at \(hex(offset))"))
          return false
        }
        take(note, content)
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

  private mutating func take(_ note: NoteHeader, _ content: any Content) {
    let isNeeded = NoteWalk.needed.contains(note.name)
    let limit = note.name == MCoreNote.name ? NoteWalk.ownLimit : NoteWalk.largeLimit
    let sum = held[isNeeded, default: 0] + Int(note.descriptorSize)
    guard note.descriptorSize <= limit, sum <= NoteWalk.heldLimits[isNeeded, default: 0] else {
      large.append(LargeNote(name: note.name, type: note.type, offset: note.descriptor, size: note.descriptorSize))
      return
    }
    guard let descriptor = try? content.bytes(at: note.descriptor, count: Int(note.descriptorSize)) else { return }
    held[isNeeded] = sum
    notes.append(DumpNote(name: note.name, type: note.type, descriptor: descriptor))
  }

  /// Where the next note with a name that cores have begins.
  func nextNote(_ content: any Content, from start: UInt64, before end: UInt64, _ order: ByteOrder) -> UInt64? {
    let stop = min(end, clampedSum(start, NoteWalk.searchLimit))
    guard start < stop, let bytes = try? content.bytes(at: start, count: Int(stop - start)) else { return nil }
    for offset in stride(from: 0, to: max(0, bytes.count - 16), by: 4) where NoteWalk.isNamed(bytes, offset) {
      if let note = NoteHeader(content, at: start + UInt64(offset), before: end, order), !note.isEmpty,
        NoteWalk.names.contains(note.name)
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

  /// Adds those of `others` that are not here. Returns how many that are.
  mutating func add(_ others: NoteWalk) -> Int {
    let new = others.notes.filter { !notes.contains($0) }
    let newLarge = others.large.filter { !large.contains($0) }
    notes += new
    large += newLarge
    return new.count + newLarge.count
  }
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

  /// Fills `buffer` with the descriptor from `start` on.
  func read(from content: any Content, at start: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    guard start <= size, UInt64(buffer.count) <= size - start else {
      throw DumpError("reading past the end of a note", at: content.name)
    }
    unsafe try content.read(at: offset + start, into: buffer)
  }
}
