public import DumpBasics
internal import CLibelf

extension ELF64 {
  /// The notes of a PT_NOTE segment's bytes, by libelf's gelf_getnote. Notes up to a damaged one are
  /// returned, with what is wrong with it.
  public static func decodeNotes(_ bytes: [UInt8], _ identity: MachineIdentity) -> (notes: [DumpNote], damage: DumpError?) {
    guard !bytes.isEmpty else { return ([], nil) }
    // libelf reads notes only from an ELF file: give it one that consists of a header and these notes.
    guard var image = try? encode(identity, []) else { return ([], DumpError("libelf does not work")) }
    let start = image.count
    image += bytes
    return unsafe image.withUnsafeMutableBytes { buffer in
      guard let base = unsafe buffer.baseAddress?.assumingMemoryBound(to: CChar.self),
        let elf = unsafe elf_memory(base, buffer.count)
      else { return ([], DumpError("notes are not understood: \(lastError)")) }
      defer { unsafe _ = elf_end(elf) }
      guard let data = unsafe elf_getdata_rawchunk(elf, Int64(start), buffer.count - start, ELF_T_NHDR) else {
        return ([], DumpError("notes are not understood: \(lastError)"))
      }
      return unsafe walk(data)
    }
  }

  private static func walk(_ data: UnsafeMutablePointer<Elf_Data>) -> (notes: [DumpNote], damage: DumpError?) {
    var notes: [DumpNote] = []
    var offset = 0
    guard let base = unsafe data.pointee.d_buf else { return ([], nil) }
    let size = unsafe data.pointee.d_size
    while offset < size {
      var header = GElf_Nhdr()
      var nameOffset = 0
      var descriptorOffset = 0
      let next = unsafe gelf_getnote(data, offset, &header, &nameOffset, &descriptorOffset)
      if next <= offset {
        // Zeros at the end are padding, which some writers leave.
        let rest = unsafe UnsafeRawBufferPointer(start: base + offset, count: size - offset)
        if unsafe rest.allSatisfy({ $0 == 0 }) { return (notes, nil) }
        return (
          notes, DumpError("note \(notes.count) runs past the end of its segment", at: "note offset \(hex(UInt64(offset)))")
        )
      }
      // An all-zero header is the kernel's end mark inside PT_NOTE (append_elf_note, kernel/crash_core.c).
      if header.n_namesz == 0 && header.n_descsz == 0 && header.n_type == 0 { break }
      let name = unsafe UnsafeRawBufferPointer(start: base + nameOffset, count: Int(header.n_namesz))
      let descriptor = unsafe UnsafeRawBufferPointer(start: base + descriptorOffset, count: Int(header.n_descsz))
      notes.append(
        DumpNote(
          name: unsafe String(decoding: name.prefix { $0 != 0 }, as: UTF8.self), type: header.n_type,
          descriptor: unsafe Array(descriptor)))
      offset = next
    }
    return (notes, nil)
  }

  /// Notes as they stand in a PT_NOTE segment: header, name with NUL, descriptor, each padded to 4 bytes
  /// (System V gABI, "Note Section"; Linux pads to 4 in 64-bit cores too).
  public static func encodeNotes(_ notes: [DumpNote], _ order: ByteOrder) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(encodedSize(notes))
    for note in notes { append(note, order, to: &bytes) }
    return bytes
  }

  /// Puts one note behind `bytes`, with no copy in between: a note can be megabytes, and a crash kernel has
  /// little room.
  public static func append(_ note: DumpNote, _ order: ByteOrder, to bytes: inout [UInt8]) {
    bytes += noteHeader(note.name, note.type, descriptorSize: UInt32(note.descriptor.count), order)
    bytes += note.descriptor
    bytes += repeatElement(0, count: (4 - note.descriptor.count % 4) % 4)
  }

  /// What stands before a note's descriptor: the header and the name, padded.
  public static func noteHeader(_ name: String, _ type: UInt32, descriptorSize: UInt32, _ order: ByteOrder) -> [UInt8] {
    var header = ByteWriter(order)
    header.u32(UInt32(name.utf8.count + 1))
    header.u32(descriptorSize)
    header.u32(type)
    header.append(name.utf8)
    header.u8(0)
    header.align(4)
    return header.bytes
  }

  /// Bytes of what `encodeNotes` gives.
  public static func encodedSize(_ notes: [DumpNote]) -> Int {
    notes.reduce(0) { $0 + encodedSize($1.name, $1.descriptor.count) }
  }

  /// Bytes of a note whose descriptor has `count`.
  public static func encodedSize(_ name: String, _ count: Int) -> Int {
    12 + (name.utf8.count + 1 + 3) / 4 * 4 + (count + 3) / 4 * 4
  }
}
