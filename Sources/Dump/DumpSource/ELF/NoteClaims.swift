internal import CoreEncoding
internal import DumpBasics

/// The notes of a source: those that its PT_NOTEs hold, found again behind damage, and without a PT_NOTE that
/// can be read those that stand between the headers and the memory.
struct NoteClaims {
  private var walk = NoteWalk()
  var notes: [DumpNote] { walk.notes }
  /// Notes that are too large to be held: device dumps.
  var large: [LargeNote] { walk.large }

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
          walk.read(
            entry.offset..<min(overflow ? .max : end, content.size), content, claims.header.identity.byteOrder, place, &findings)
          && isComplete
      }
    }
    if !isComplete || notes.isEmpty { search(entries, claims, content, &findings) }
    if notes.isEmpty { findings.append(DumpError("no notes: no registers, no VMCOREINFO", at: content.name)) }
  }

  /// Without a PT_NOTE that leads anywhere: notes stand between the program headers and the first memory.
  private mutating func search(
    _ entries: [ELFProgramHeader], _ claims: HeaderClaims, _ content: any Content, _ findings: inout [DumpError]
  ) {
    let start = claims.offset.addingReportingOverflow(UInt64(entries.count * ELF64.programHeaderSize)).partialValue
    let memory = entries.filter { $0.type == ELFProgramHeader.load && $0.offset >= start && $0.fileSize > 0 }.map(\.offset).min()
    let end = min(memory ?? 0, content.size)
    let order = claims.header.identity.byteOrder
    guard start < end, let first = walk.nextNote(content, from: start, before: end, order) else { return }
    var others = NoteWalk()
    var ignored: [DumpError] = []
    _ = others.read(first..<end, content, order, "", &ignored)
    let new = walk.add(others)
    guard new > 0 else { return }
    findings.append(
      DumpError(
        "no program header leads to \(new) of the notes: they were found at \(hex(first))", at: content.name))
  }
}
