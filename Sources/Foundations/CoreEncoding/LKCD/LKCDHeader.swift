#if Kdump
  public import DumpBasics

  /// What a dump of LKCD (Linux Kernel Crash Dump) begins with: `dump_header_t` of versions 8 to 10, of
  /// x86_64. All numbers are claims of the file.
  ///
  /// The layout is that of LKCD's include/linux/dump.h (`struct __dump_header`, packed), which crash has as
  /// lkcd_dump_v8.h and libkdumpfile as `dump_header_v8`: 734 bytes; from version 9 on the size of the dump
  /// buffer follows, 8 bytes.
  public struct LKCDHeader: Sendable, Equatable {
    /// DUMP_MAGIC_NUMBER 0xa8190173618f23ed, as a little-endian machine writes it.
    public static let signature: [UInt8] = [0xed, 0x23, 0x8f, 0x61, 0x73, 0x01, 0x19, 0xa8]
    /// DUMP_MAGIC_LIVE 0xa8190173618f23cd: the kernel ran on.
    private static let liveSignature: [UInt8] = [0xcd, 0x23, 0x8f, 0x61, 0x73, 0x01, 0x19, 0xa8]
    /// Bytes of the header of version 8, and of later ones.
    public static let shortSize = 734
    public static let size = 742
    /// The versions that have this layout. Those before stand in another one for each machine.
    public static let versions: ClosedRange<UInt32> = 8...10
    /// DUMP_LEVEL_HEADER: the header alone was asked for, without memory.
    public static let headerLevel: UInt32 = 1

    public var version: UInt32 = 9
    /// `dh_header_size`: where the header of the machine's registers begins, in bytes.
    public var headerSize = UInt32(LKCDHeader.size)
    public var dumpLevel: UInt32 = 8
    /// `dh_num_dump_pages`; 0: the writer did not say.
    public var pageCount: UInt32 = 0
    /// `dh_panic_string`, at most 255 bytes; from the dump: may hold anything.
    public var panic = ""
    /// `dh_time`, in seconds since 1970 (UTC).
    public var crashTime: UInt64 = 0
    /// The six strings of struct new_utsname: sysname, nodename, release, version, machine, domainname.
    public var names: [String]
    /// `dh_dump_compress`: 0 none, 1 RLE, 2 gzip. What is none of these is kept as it stands there.
    public var compression: UInt32 = 0
    /// `dh_dump_buffer_size`: where the pages begin, in bytes; nil in version 8, where they begin at 64 KiB.
    public var bufferSize: UInt64? = 65536
    /// Whether the kernel ran on while it was dumped.
    public var isLive = false
    /// What the header says that can't be, and what was taken instead.
    public private(set) var doubts: [DumpError] = []

    public let identity = MachineIdentity(.x86_64, .little)
    /// x86_64 has no other.
    public let pageSize = PageSize.fourKiB

    private static let panicOffset = 52
    private static let panicSize = 256
    private static let timeOffset = 308
    private static let namesOffset = 324
    private static let nameSize = 65

    public init(names: [String]) { self.names = names }

    /// Whether a file begins with one of the signatures, or with most of it.
    public static func isLKCD(_ bytes: [UInt8]) -> Bool {
      bytes.count >= signature.count && zip(bytes, signature).count { $0 == $1 } >= signature.count - 2
    }

    /// A field that is damaged is replaced by what it must be, and is among `doubts`. `name` is for errors.
    ///
    /// - Throws: when this is no header of LKCD, one of a version or machine that mcore does not read, or
    ///   cut.
    public init(_ bytes: [UInt8], name: String) throws(DumpError) {
      guard LKCDHeader.isLKCD(bytes) else { throw DumpError("no dump of LKCD", at: "\(name), offset 0x0") }
      guard bytes.count >= LKCDHeader.shortSize else {
        throw DumpError(
          "the file is cut in its header: \(bytes.count) of \(LKCDHeader.shortSize) bytes are there", at: name,
          advice: "nothing can be read of it")
      }
      let reader = ByteReader(bytes, .little)
      func word(_ offset: Int) -> UInt32 { reader.u32(offset) ?? 0 }
      isLive = bytes.starts(with: LKCDHeader.liveSignature)
      if !isLive, !bytes.starts(with: LKCDHeader.signature) {
        doubts.append(DumpError("the signature is damaged", at: "\(name), offset 0x0"))
      }
      names = (0..<6).map { reader.text(LKCDHeader.namesOffset + $0 * LKCDHeader.nameSize, limit: LKCDHeader.nameSize) ?? "" }
      let stated = word(8)
      if LKCDHeader.versions.contains(stated) {
        version = stated
      } else {
        // Earlier versions have their strings at other places.
        guard names[0] == "Linux" else { throw LKCDHeader.unsupported(stated, name) }
        version = 9
        doubts.append(DumpError("header version \(hex(UInt64(stated))) is taken for 9", at: "\(name), offset 0x8"))
      }
      try checkMachine(bytes, name)
      headerSize = word(12)
      dumpLevel = word(16)
      if UInt64(word(20)) != pageSize.bytes {
        doubts.append(
          DumpError(
            "dh_page_size is \(word(20)), no page size of x86_64: it is taken for \(pageSize.bytes)", at: "\(name), offset 0x14"))
      }
      pageCount = word(48)
      panic = reader.text(LKCDHeader.panicOffset, limit: LKCDHeader.panicSize) ?? ""
      crashTime = reader.u64(LKCDHeader.timeOffset) ?? 0
      compression = word(722)
      bufferSize = version >= 9 ? reader.u64(LKCDHeader.shortSize) : nil
    }

    public func encoded() -> [UInt8] {
      var writer = ByteWriter()
      writer.append(isLive ? LKCDHeader.liveSignature : LKCDHeader.signature)
      for word in [version, headerSize, dumpLevel, UInt32(pageSize.bytes)] { writer.u32(word) }
      // dh_memory_size, dh_memory_start and dh_memory_end: LKCD has PAGE_OFFSET and its own number in the
      // last two.
      writer.zeros(24)
      writer.u32(pageCount)
      LKCDHeader.put(panic, LKCDHeader.panicSize, &writer)
      writer.u64(crashTime)
      writer.u64(0)
      for index in 0..<6 { LKCDHeader.put(names.indices.contains(index) ? names[index] : "", LKCDHeader.nameSize, &writer) }
      writer.u64(0)
      for word in [compression, 0, 0] { writer.u32(word) }
      if let bufferSize { writer.u64(bufferSize) }
      return writer.bytes
    }

    /// A C string in a field of `size` bytes.
    private static func put(_ text: String, _ size: Int, _ writer: inout ByteWriter) {
      let bytes = Array(text.utf8.prefix(size - 1))
      writer.append(bytes)
      writer.zeros(size - bytes.count)
    }

    /// `uname -m`, or what was it before a byte or two of it were damaged.
    private mutating func checkMachine(_ bytes: [UInt8], _ name: String) throws(DumpError) {
      let wanted = "x86_64"
      let offset = LKCDHeader.namesOffset + 4 * LKCDHeader.nameSize
      guard names[4] != wanted else { return }
      guard zip(wanted.utf8, bytes[offset...]).count(where: { $0 == $1 }) >= wanted.utf8.count - 2 else {
        throw DumpError(
          .unsupported, "a dump of LKCD of machine '\(names[4])'", at: "\(name), offset \(hex(UInt64(offset)))",
          advice: "mcore reads those of x86_64; crash built for that machine reads it")
      }
      doubts.append(
        DumpError("the machine '\(names[4])' is taken for \(wanted)", at: "\(name), offset \(hex(UInt64(offset)))"))
      names[4] = wanted
    }

    private static func unsupported(_ version: UInt32, _ name: String) -> DumpError {
      // LKCD_DUMP_MCLX_V0 and _V1: a changed LKCD of Mission Critical Linux.
      let isChanged = version & 0xc000_0000 != 0
      return DumpError(
        .unsupported, "version \(isChanged ? hex(UInt64(version)) : "\(version)") of a dump of LKCD", at: "\(name), offset 0x8",
        advice: "mcore reads versions 8 to 10; crash reads it")
    }
  }
#endif
