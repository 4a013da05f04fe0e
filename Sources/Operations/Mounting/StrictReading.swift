internal import CoreEncoding
internal import DumpBasics
internal import DumpSource

/// What is different about an ELF core whose reader must not take for memory what is none.
///
/// Memory that was unreadable when the dump was written stands in it as a pattern: here it can't be read.
/// Zeros that only a program header promises (`p_filesz` < `p_memsz`), which is how makedumpfile leaves pages
/// out: here the header ends with the data, so that every reader finds nothing there.
struct StrictReading: Sendable {
  /// Of the uncompressed file; ascending.
  private var missing: [Range<UInt64>] = []
  /// Words of the file that are others here; ascending.
  private var changes: [(offset: UInt64, bytes: [UInt8])] = []

  init(_ elf: ELFSource) throws(DumpError) {
    let pieces = elf.coverage()
    for range in elf.metadata?.trailer?.unreadable ?? [] {
      var index = pieces.partitionPoint { $0.range.end <= range.start }
      while index < pieces.count, pieces[index].range.start < range.end {
        let piece = pieces[index]
        if case .data(let offset) = piece.kind {
          let (from, to) = (max(piece.range.start, range.start), min(piece.range.end, range.end))
          missing.append(offset + (from - piece.range.start)..<offset + (to - piece.range.start))
        }
        index += 1
      }
    }
    missing.sort { $0.lowerBound < $1.lowerBound }
    try shorten(elf)
  }

  /// Where `p_filesz` and `p_memsz` stand in a program header.
  private static let fileSizeOffset = 32
  private static let memorySizeOffset = 40

  private mutating func shorten(_ elf: ELFSource) throws(DumpError) {
    func bytes(_ offset: UInt64, _ count: Int) throws(DumpError) -> [UInt8] {
      guard offset <= elf.contentSize, UInt64(count) <= elf.contentSize - offset else {
        throw DumpError("program headers run past the end", at: elf.name)
      }
      return unsafe try [UInt8].filled(count) { (buffer) throws(DumpError) in
        unsafe try elf.readContent(at: offset, into: buffer)
      }
    }
    var findings: [DumpError] = []
    let header = try ELF64.decodeHeader(try bytes(0, ELF64.headerSize), name: elf.name, &findings)
    let order = header.identity.byteOrder
    var count = UInt64(header.programHeaderCount)
    if header.programHeaderCount == ELF64.extendedCount {
      let section = try bytes(header.sectionHeaderOffset, ELF64.sectionHeaderSize)
      count = try ELF64.decodeExtendedCount(section, order, name: elf.name)
    }
    guard count <= ELF64.programHeaderLimit else { throw DumpError("\(count) program headers", at: elf.name) }
    let table = ByteReader(try bytes(header.programHeaderOffset, Int(count) * ELF64.programHeaderSize), order)
    for index in 0..<Int(count) {
      let place = index * ELF64.programHeaderSize
      guard table.u32(place) == ELFProgramHeader.load, let present = table.u64(place + StrictReading.fileSizeOffset),
        let promised = table.u64(place + StrictReading.memorySizeOffset), present < promised
      else { continue }
      var word = ByteWriter(order)
      word.u64(present)
      changes.append((header.programHeaderOffset + UInt64(place + StrictReading.memorySizeOffset), word.bytes))
    }
  }

  /// Whether any byte of a range is one that could not be read.
  func isMissing(_ range: Range<UInt64>) -> Bool {
    let index = missing.partitionPoint { $0.upperBound <= range.lowerBound }
    return index < missing.count && missing[index].lowerBound < range.upperBound
  }

  /// Changes what `buffer` holds of the file from `start` on.
  func change(_ buffer: UnsafeMutableRawBufferPointer, from start: UInt64) {
    var index = changes.partitionPoint { $0.offset + UInt64($0.bytes.count) <= start }
    while index < changes.count, changes[index].offset < start + UInt64(buffer.count) {
      for (byte, value) in changes[index].bytes.enumerated() {
        let offset = changes[index].offset + UInt64(byte)
        if offset >= start, offset - start < UInt64(buffer.count) { unsafe buffer[Int(offset - start)] = value }
      }
      index += 1
    }
  }
}
