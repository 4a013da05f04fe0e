internal import CoreEncoding
internal import DumpBasics

/// The ELF header of a source, as far as it can be believed, and the program headers that it leads to.
///
/// Every word is a claim. What is wrong and has one sensible value gets that value and is a finding: a core
/// of Linux has its program headers right behind the ELF header (fs/proc/vmcore.c, kexec-tools, QEMU), and
/// each of them has 56 bytes.
struct HeaderClaims {
  let header: ELFHeader
  let programHeaders: [ELFProgramHeader]
  /// Offset of the program headers in the file.
  let offset: UInt64
  /// Whether `e_flags` says that makedumpfile could not finish the file (DUMP_ELF_INCOMPLETE, bit 0).
  let isMarkedIncomplete: Bool

  /// - Throws: when this is no ELF file of a machine that mcore knows.
  init(_ content: any Content, _ findings: inout [DumpError]) throws(DumpError) {
    let start = try content.bytes(at: 0, count: Int(min(UInt64(ELF64.headerSize), content.size)))
    header = try ELF64.decodeHeader(start, name: content.name, &findings)
    isMarkedIncomplete = (ByteReader(start, header.identity.byteOrder).u32(0x30) ?? 0) & 1 != 0
    let standard = UInt64(ELF64.headerSize)
    var offset = header.programHeaderOffset
    if offset != standard, HeaderClaims.isTable(content, at: standard, header) {
      // Into the middle of the table: all that stands before would be lost.
      let length = UInt64(header.programHeaderCount) * UInt64(ELF64.programHeaderSize)
      let isWithin = offset > standard && offset - standard < length
      if isWithin || !HeaderClaims.isTable(content, at: offset, header) {
        findings.append(
          DumpError(
            isWithin
              ? "e_phoff \(hex(offset)) leads to the middle of the program headers: all from \(hex(standard)) on are taken"
              : "e_phoff \(hex(offset)) leads to no program headers: those at \(hex(standard)) are taken",
            at: "\(content.name), offset 0x20"))
        offset = standard
      }
    }
    self.offset = offset
    programHeaders = try HeaderClaims.table(content, at: offset, header, &findings)
  }

  /// Whether a program header that makes sense stands at `offset`.
  private static func isTable(_ content: any Content, at offset: UInt64, _ header: ELFHeader) -> Bool {
    guard let first = entries(content, at: offset, 0..<1, header).first else { return false }
    return [ELFProgramHeader.load, ELFProgramHeader.note].contains(first.type) && first.offset < content.size
  }

  private static func table(
    _ content: any Content, at offset: UInt64, _ header: ELFHeader, _ findings: inout [DumpError]
  ) throws(DumpError) -> [ELFProgramHeader] {
    let claimed = claimedCount(content, header, &findings)
    let room = content.size > offset ? (content.size - offset) / UInt64(ELF64.programHeaderSize) : 0
    var count = min(claimed, room, ELF64.programHeaderLimit)
    if count < claimed {
      findings.append(
        DumpError(
          "\(claimed) program headers at \(hex(offset)) are more than there can be: \(count) are read",
          at: "\(content.name), offset 0x38", advice: "the file is cut or damaged"))
    }
    var found = entries(content, at: offset, 0..<count, header)
    // More of them than the header counts, right behind the last one: each has to begin where the memory
    // before it ends in the file.
    while count < min(room, ELF64.programHeaderLimit), let next = entries(content, at: offset, count..<count + 1, header).first,
      follows(next, found, content.size)
    {
      found.append(next)
      count += 1
    }
    if found.count > Int(clamping: claimed) {
      findings.append(
        DumpError(
          "e_phnum is \(claimed), and \(found.count) program headers fit together: all of them are taken",
          at: "\(content.name), offset 0x38"))
    }
    guard !found.isEmpty else {
      throw DumpError(
        "no program headers can be read", at: "\(content.name), offset \(hex(offset))", advice: "this is no dump, or it is cut")
    }
    return found
  }

  /// `e_phnum`, or `sh_info` of section header 0 where that has to hold it. 0 where it is not to be had.
  private static func claimedCount(
    _ content: any Content, _ header: ELFHeader, _ findings: inout [DumpError]
  ) -> UInt64 {
    guard header.programHeaderCount == ELF64.extendedCount else { return UInt64(header.programHeaderCount) }
    do throws(DumpError) {
      let size = UInt64(ELF64.sectionHeaderSize)
      guard header.sectionHeaderOffset != 0, content.size >= size, header.sectionHeaderOffset <= content.size - size else {
        throw DumpError(
          "the number of program headers should stand at offset \(hex(header.sectionHeaderOffset)), past the end",
          at: content.name, advice: "those that fit together are taken")
      }
      let section = try content.bytes(at: header.sectionHeaderOffset, count: Int(size))
      return try ELF64.decodeExtendedCount(section, header.identity.byteOrder, name: content.name)
    } catch {
      findings.append(error)
      return 0
    }
  }

  /// The program headers `range` of the table at `offset`, as far as the file holds them.
  private static func entries(
    _ content: any Content, at offset: UInt64, _ range: Range<UInt64>, _ header: ELFHeader
  ) -> [ELFProgramHeader] {
    let size = UInt64(ELF64.programHeaderSize)
    // At most `programHeaderLimit` of 56 bytes; `offset` is any number.
    let (start, overflow) = offset.addingReportingOverflow(range.lowerBound * size)
    let length = UInt64(range.count) * size
    guard !overflow, start <= content.size, length <= content.size - start, length > 0,
      let bytes = try? content.bytes(at: start, count: Int(length))
    else { return [] }
    return (try? ELF64.decodeProgramHeaders(bytes, header.identity.byteOrder, name: content.name)) ?? []
  }

  /// Whether `next` is one more of `found`: a PT_LOAD behind the others in memory and in the file. The first
  /// one may be the PT_NOTE.
  private static func follows(_ next: ELFProgramHeader, _ found: [ELFProgramHeader], _ size: UInt64) -> Bool {
    guard let last = found.last(where: { $0.type == ELFProgramHeader.load || $0.type == ELFProgramHeader.note }) else {
      return next.type == ELFProgramHeader.note && next.offset < size && next.fileSize > 0 && next.fileSize < size
    }
    guard next.type == ELFProgramHeader.load, next.fileSize > 0, next.fileSize == next.memorySize, next.offset < size,
      next.fileSize <= size, next.physicalAddress < 1 << 52
    else { return false }
    let end = last.offset.addingReportingOverflow(last.fileSize).partialValue
    return next.offset >= end && next.offset - end < 1 << 16
  }
}
