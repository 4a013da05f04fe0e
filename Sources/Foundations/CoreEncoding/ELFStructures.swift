// The ELF64 structures of a core file, to and from bytes, by libelf (elfutils). libelf converts byte order
// and layout; what it is given is bounds-checked here first, since it trusts its caller.
public import DumpBasics
internal import CLibelf

/// What a core file's ELF header says, as far as a core needs it.
public struct ELFHeader: Sendable, Equatable {
  public var identity: MachineIdentity
  public var programHeaderOffset: UInt64
  /// `e_phnum`; 0xffff (PN_XNUM) means that the number stands in `sh_info` of section header 0.
  public var programHeaderCount: UInt16
  public var sectionHeaderOffset: UInt64
}

/// One program header: Elf64_Phdr.
public struct ELFProgramHeader: Sendable, Equatable {
  public static let load: UInt32 = 1
  public static let note: UInt32 = 4

  public var type: UInt32
  public var flags: UInt32
  public var offset: UInt64
  public var virtualAddress: UInt64
  public var physicalAddress: UInt64
  public var fileSize: UInt64
  public var memorySize: UInt64

  public init(
    type: UInt32, flags: UInt32, offset: UInt64, virtualAddress: UInt64, physicalAddress: UInt64, fileSize: UInt64,
    memorySize: UInt64
  ) {
    self.type = type
    self.flags = flags
    self.offset = offset
    self.virtualAddress = virtualAddress
    self.physicalAddress = physicalAddress
    self.fileSize = fileSize
    self.memorySize = memorySize
  }
}

/// The sizes and translations of ELF64 (System V gABI, chapters 4 and 5).
public enum ELF64 {
  public static let headerSize = 64
  public static let programHeaderSize = 56
  public static let sectionHeaderSize = 64
  /// PN_XNUM: the real number of program headers stands in section header 0.
  public static let extendedCount: UInt16 = 0xffff
  /// More than this is taken for damage. mcore itself stays below 200,000.
  public static let programHeaderLimit: UInt64 = 1 << 20

  private static let versionIsKnown: Bool = elf_version(UInt32(EV_CURRENT)) != UInt32(EV_NONE)

  /// Decodes the first 64 bytes of a file. `name` is for errors.
  ///
  /// A word that is wrong and has one sensible value in a core gets that value, and is a finding.
  ///
  /// - Throws: when this is no ELF file, or not one of a machine that mcore knows.
  public static func decodeHeader(_ bytes: [UInt8], name: String, _ findings: inout [DumpError]) throws(DumpError) -> ELFHeader {
    guard bytes.count >= headerSize else {
      throw DumpError("too short for an ELF header: \(bytes.count) bytes", at: name, advice: "this is no dump")
    }
    // e_ehsize and e_phentsize: what an ELF file is known by when its first bytes are damaged.
    let order = [ByteOrder.little, .big].first { order in
      let reader = ByteReader(bytes, order)
      return reader.u16(0x34) == UInt16(headerSize) && reader.u16(0x36) == UInt16(programHeaderSize)
    }
    let magic: [UInt8] = [0x7f, 0x45, 0x4c, 0x46]
    if !bytes.starts(with: magic) {
      guard order != nil, zip(bytes, magic).filter({ $0 == $1 }).count >= 2 else {
        throw DumpError(
          "not an ELF file: it begins with \(bytes[0..<4].map { hex(UInt64($0)) }.joined(separator: " "))", at: name,
          advice: "mcore reads ELF cores (plain, elf.gz, elf.zst), kdump-compressed files and LKCD's")
      }
      findings.append(DumpError("the first four bytes are not those of an ELF file", at: "\(name), offset 0x0"))
    }
    if bytes[4] != 2 {
      guard order != nil, bytes[4] != 1 else {
        throw DumpError(
          "ELF class is \(bytes[4]), not 64-bit", at: "\(name), offset 0x4", advice: "32-bit dumps are not supported")
      }
      findings.append(DumpError("ELF class is \(bytes[4]): 64-bit is taken", at: "\(name), offset 0x4"))
    }
    guard let byteOrder = order ?? ByteOrder(rawValue: bytes[5]) else {
      throw DumpError("ELF byte order is \(bytes[5]), not 1 or 2", at: "\(name), offset 0x5", advice: "the file is damaged")
    }
    if bytes[5] != byteOrder.rawValue {
      findings.append(DumpError("ELF byte order is \(bytes[5]): \(byteOrder) is taken", at: "\(name), offset 0x5"))
    }
    return try decoded(bytes, byteOrder, name, &findings)
  }

  private static func decoded(
    _ bytes: [UInt8], _ order: ByteOrder, _ name: String, _ findings: inout [DumpError]
  ) throws(DumpError) -> ELFHeader {
    // libelf looks at the identification itself.
    var sound = bytes
    sound.replaceSubrange(0..<7, with: [0x7f, 0x45, 0x4c, 0x46, 2, order.rawValue, 1])
    var header = Elf64_Ehdr()
    guard translate(sound, to: &header, ELF_T_EHDR, order) else {
      throw DumpError("ELF header is not understood: \(lastError)", at: name)
    }
    switch header.e_type {
    case 4: break
    // ET_REL, ET_EXEC, ET_DYN: a module, vmlinux, a program.
    case 1, 2, 3:
      throw DumpError("ELF type is \(header.e_type), not a core (4)", at: "\(name), offset 0x10", advice: "this is no dump")
    default: findings.append(DumpError("ELF type is \(header.e_type): a core (4) is taken", at: "\(name), offset 0x10"))
    }
    if header.e_phentsize != programHeaderSize {
      findings.append(
        DumpError(
          "program headers have \(header.e_phentsize) bytes: \(programHeaderSize) are taken", at: "\(name), offset 0x36"))
    }
    let architecture: Architecture
    if let known = Architecture(elfMachine: header.e_machine) {
      architecture = known
    } else {
      // Other machines that Linux has (EM_386, EM_PPC64, EM_S390, EM_ARM, EM_RISCV, EM_LOONGARCH) are no
      // damage.
      if [3, 21, 22, 40, 243, 258].contains(header.e_machine) {
        throw DumpError(
          .unsupported, "machine \(header.e_machine) is not supported", at: "\(name), offset 0x12",
          advice: "x86_64 (62) and arm64 (183) are")
      }
      architecture =
        [Architecture.x86_64, .arm64].min {
          ($0.elfMachine ^ header.e_machine).nonzeroBitCount < ($1.elfMachine ^ header.e_machine).nonzeroBitCount
        } ?? .x86_64
      findings.append(
        DumpError("machine \(header.e_machine) is not known: \(architecture) is taken", at: "\(name), offset 0x12"))
    }
    return ELFHeader(
      identity: MachineIdentity(architecture, order), programHeaderOffset: header.e_phoff,
      programHeaderCount: header.e_phnum, sectionHeaderOffset: header.e_shoff)
  }

  /// `sh_info` of section header 0: the number of program headers of a file with PN_XNUM.
  public static func decodeExtendedCount(_ bytes: [UInt8], _ order: ByteOrder, name: String) throws(DumpError) -> UInt64 {
    var section = Elf64_Shdr()
    guard bytes.count >= sectionHeaderSize, translate(bytes, to: &section, ELF_T_SHDR, order) else {
      throw DumpError(
        "section header 0, which holds the number of program headers, is not there", at: name,
        advice: "the file is cut or damaged")
    }
    return UInt64(section.sh_info)
  }

  /// Decodes as many program headers as `bytes` holds whole.
  public static func decodeProgramHeaders(_ bytes: [UInt8], _ order: ByteOrder, name: String) throws(DumpError)
    -> [ELFProgramHeader]
  {
    let count = bytes.count / programHeaderSize
    guard count > 0 else { return [] }
    var raw = [Elf64_Phdr](repeating: Elf64_Phdr(), count: count)
    let converted = unsafe raw.withUnsafeMutableBytes { destination in
      unsafe translate(bytes, to: destination, ELF_T_PHDR, order, decode: true)
    }
    guard converted else { throw DumpError("program headers are not understood: \(lastError)", at: name) }
    return raw.map {
      ELFProgramHeader(
        type: $0.p_type, flags: $0.p_flags, offset: $0.p_offset, virtualAddress: $0.p_vaddr,
        physicalAddress: $0.p_paddr, fileSize: $0.p_filesz, memorySize: $0.p_memsz)
    }
  }

  /// The headers of a core: ELF header, program headers right after it, and section header 0 where their
  /// number needs it. `p_align` is 0: with anything else crash takes the file for a netdump. `room`: how many
  /// bytes the caller will append.
  public static func encode(
    _ identity: MachineIdentity, _ programHeaders: some Collection<ELFProgramHeader>, room: Int = 0
  ) throws(DumpError) -> [UInt8] {
    let count = programHeaders.count
    let extended = count >= Int(extendedCount)
    var header = Elf64_Ehdr()
    unsafe withUnsafeMutableBytes(of: &header.e_ident) { ident in
      unsafe ident.copyBytes(from: [0x7f, 0x45, 0x4c, 0x46, 2, identity.byteOrder.rawValue, 1, 0])
    }
    header.e_type = 4
    header.e_machine = identity.architecture.elfMachine
    header.e_version = 1
    header.e_phoff = UInt64(headerSize)
    header.e_ehsize = UInt16(headerSize)
    header.e_phentsize = UInt16(programHeaderSize)
    header.e_phnum = extended ? extendedCount : UInt16(count)
    if extended {
      header.e_shoff = UInt64(headerSize + count * programHeaderSize)
      header.e_shnum = 1
      header.e_shentsize = UInt16(sectionHeaderSize)
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(headersSize(programHeaders: count) + room)
    bytes += try unsafe withUnsafeMutableBytes(of: &header) { source throws(DumpError) in
      unsafe try encoded(source, ELF_T_EHDR, identity.byteOrder)
    }
    // A few at a time: 200,000 of them take 11 MB, and a crash kernel has little room for copies.
    var raw: [Elf64_Phdr] = []
    var failure: DumpError?
    func flush() {
      unsafe raw.withUnsafeMutableBytes { source in
        do throws(DumpError) { bytes += unsafe try encoded(source, ELF_T_PHDR, identity.byteOrder) } catch { failure = error }
      }
      raw.removeAll(keepingCapacity: true)
    }
    for entry in programHeaders {
      raw.append(
        Elf64_Phdr(
          p_type: entry.type, p_flags: entry.flags, p_offset: entry.offset, p_vaddr: entry.virtualAddress,
          p_paddr: entry.physicalAddress, p_filesz: entry.fileSize, p_memsz: entry.memorySize, p_align: 0))
      if raw.count == 256 { flush() }
    }
    flush()
    if let failure { throw failure }
    if extended {
      var section = Elf64_Shdr()
      section.sh_info = UInt32(count)
      section.sh_size = 1
      bytes += try unsafe withUnsafeMutableBytes(of: &section) { source throws(DumpError) in
        unsafe try encoded(source, ELF_T_SHDR, identity.byteOrder)
      }
    }
    return bytes
  }

  /// The size of what `encode` makes.
  public static func headersSize(programHeaders count: Int) -> Int {
    headerSize + count * programHeaderSize + (count >= Int(extendedCount) ? sectionHeaderSize : 0)
  }

  // MARK: libelf's translation

  /// libelf's message for its last error.
  static var lastError: String {
    guard let text = unsafe elf_errmsg(-1) else { return "unknown error" }
    return unsafe String(cString: text)
  }

  private static func translate<T>(_ bytes: [UInt8], to value: inout T, _ type: Elf_Type, _ order: ByteOrder) -> Bool {
    unsafe withUnsafeMutableBytes(of: &value) { destination in
      unsafe translate(Array(bytes.prefix(destination.count)), to: destination, type, order, decode: true)
    }
  }

  /// elf64_xlatetom: file bytes to this machine's structures. The destination bounds what is read.
  private static func translate(
    _ bytes: [UInt8], to destination: UnsafeMutableRawBufferPointer, _ type: Elf_Type, _ order: ByteOrder, decode: Bool
  ) -> Bool {
    guard versionIsKnown, bytes.count >= destination.count else { return false }
    var copy = bytes
    return unsafe copy.withUnsafeMutableBytes { source in
      var from = unsafe data(source.baseAddress, destination.count, type)
      var into = unsafe data(destination.baseAddress, destination.count, type)
      return unsafe elf64_xlatetom(&into, &from, UInt32(order.rawValue)) != nil
    }
  }

  /// elf64_xlatetof: this machine's structures to file bytes.
  private static func encoded(_ source: UnsafeMutableRawBufferPointer, _ type: Elf_Type, _ order: ByteOrder) throws(DumpError)
    -> [UInt8]
  {
    var result = [UInt8](repeating: 0, count: source.count)
    let converted =
      unsafe source.isEmpty
      || result.withUnsafeMutableBytes { destination in
        var from = unsafe data(source.baseAddress, source.count, type)
        var into = unsafe data(destination.baseAddress, destination.count, type)
        return unsafe versionIsKnown && elf64_xlatetof(&into, &from, UInt32(order.rawValue)) != nil
      }
    guard converted else { throw DumpError("ELF structures can't be written: \(lastError)") }
    return result
  }

  private static func data(_ base: UnsafeMutableRawPointer?, _ size: Int, _ type: Elf_Type) -> Elf_Data {
    var data = unsafe Elf_Data()
    unsafe data.d_buf = unsafe base
    unsafe data.d_size = size
    unsafe data.d_type = type
    unsafe data.d_version = UInt32(EV_CURRENT)
    return unsafe data
  }
}
