#if Kdump
  public import DumpBasics

  /// The first block of a kdump-compressed file of a 64-bit kernel: makedumpfile's diskdump header, versions
  /// 1 to 6. All numbers are claims of the file.
  public struct KdumpHeader: Sendable, Equatable {
    public static let signature = Array("KDUMP   ".utf8)
    public static let size = 464
    /// `status`: the writer did not come to its end (DUMP_DH_COMPRESSED_INCOMPLETE).
    public static let incomplete: UInt32 = 8
    /// What this writes.
    public static let currentVersion: UInt32 = 6
    /// Versions from here on may hold what nobody knows today.
    private static let versions: ClosedRange<UInt32> = 1...6

    public var identity: MachineIdentity
    public var version = KdumpHeader.currentVersion
    /// The six strings of struct new_utsname: sysname, nodename, release, version, machine, domainname.
    public var names: [String]
    public var crashTime: UInt64 = 0
    public var status: UInt32 = 0
    /// `block_size`: the kernel's page size.
    public var pageSize: PageSize
    /// `sub_hdr_size` and `bitmap_blocks`, in blocks.
    public var subHeaderBlocks: UInt32 = 1
    public var bitmapBlocks: UInt32 = 0
    /// `max_mapnr`: page frames, as far as 32 bits hold them.
    public var frames: UInt32 = 0
    public var cpus: UInt32 = 1
    /// What the header says that can't be, and what was taken instead.
    public private(set) var doubts: [DumpError] = []
    /// Whether `block_size` is no page size, and `pageSize` the smallest that there is.
    public private(set) var pageSizeIsGuessed = false

    private static let nameSize = 65
    private static let namesOffset = 12
    private static let timeOffset = 408

    public init(_ identity: MachineIdentity, _ pageSize: PageSize, names: [String]) {
      self.identity = identity
      self.pageSize = pageSize
      self.names = names
    }

    /// Whether a file begins with the signature, or with most of it.
    public static func isKdump(_ bytes: [UInt8]) -> Bool {
      bytes.count >= signature.count && zip(bytes, signature).count { $0 == $1 } >= signature.count - 2
    }

    /// A field that is damaged is replaced by what the others allow, and is among `doubts`; `pageSize` stands
    /// in for a `block_size` that is none.
    ///
    /// - Throws: when this is no header that mcore understands; `name` is for errors.
    public init(_ bytes: [UInt8], pageSize known: PageSize? = nil, name: String) throws(DumpError) {
      guard KdumpHeader.isKdump(bytes) else {
        throw DumpError("no kdump-compressed file", at: "\(name), offset 0x0")
      }
      guard bytes.count >= KdumpHeader.size else {
        throw DumpError("the file is cut in its header: \(bytes.count) bytes", at: name)
      }
      if !bytes.starts(with: KdumpHeader.signature) {
        doubts.append(DumpError("the signature is damaged", at: "\(name), offset 0x0"))
      }
      // Nothing says in which order its bytes are: version and page size are small numbers in one of the two.
      let orders = [ByteOrder.little, .big]
      let byVersion = orders.first { KdumpHeader.versions ~= ByteReader(bytes, $0).u32(8) ?? 0 }
      let byBlock = orders.first { order in
        let size = UInt64(ByteReader(bytes, order).u32(428) ?? 0)
        return Architecture.allCases.contains { $0.pageSizes.contains(size) }
      }
      guard let order = byVersion ?? byBlock else {
        let version = ByteReader(bytes, .little).u32(8) ?? 0
        throw DumpError(
          .unsupported, "header version \(version) of a kdump-compressed file", at: "\(name), offset 0x8",
          advice: "mcore reads versions 1 to 6")
      }
      let reader = ByteReader(bytes, order)
      func word(_ offset: Int) -> UInt32 { reader.u32(offset) ?? 0 }
      names = (0..<6).map { KdumpHeader.name(reader, $0) }
      let machine = names[4]
      let machineAt = KdumpHeader.namesOffset + 4 * KdumpHeader.nameSize
      guard let architecture = KdumpHeader.architecture(machine, bytes[machineAt..<machineAt + KdumpHeader.nameSize]) else {
        throw DumpError(
          .unsupported, "a kdump-compressed file of machine '\(machine)'", at: "\(name), offset 0x110",
          advice: "x86_64 and aarch64 are supported")
      }
      if KdumpHeader.machine(architecture) != machine {
        doubts.append(DumpError("the machine '\(machine)' is taken for \(architecture)", at: "\(name), offset 0x110"))
        names[4] = KdumpHeader.machine(architecture)
      }
      identity = MachineIdentity(architecture, order)
      version = byVersion == nil ? KdumpHeader.currentVersion : word(8)
      if byVersion == nil {
        doubts.append(DumpError("header version \(word(8)) is taken for \(version)", at: "\(name), offset 0x8"))
      }
      crashTime = reader.u64(KdumpHeader.timeOffset) ?? 0
      status = word(424)
      let blockSize = word(428)
      if let pageSize = PageSize(bytes: UInt64(blockSize)), architecture.pageSizes.contains(UInt64(blockSize)) {
        self.pageSize = pageSize
      } else {
        pageSize = known ?? .fourKiB
        pageSizeIsGuessed = known == nil
        doubts.append(
          DumpError(
            "block_size is \(blockSize), no page size of \(architecture): it is taken for \(pageSize.bytes)",
            at: "\(name), offset 0x1ac"))
      }
      subHeaderBlocks = word(432)
      bitmapBlocks = word(436)
      frames = word(440)
      cpus = word(460)
    }

    public func encoded() -> [UInt8] {
      var writer = ByteWriter(identity.byteOrder)
      writer.append(KdumpHeader.signature)
      writer.u32(version)
      for index in 0..<6 {
        let text = Array((names.indices.contains(index) ? names[index] : "").utf8.prefix(KdumpHeader.nameSize - 1))
        writer.append(text)
        writer.zeros(KdumpHeader.nameSize - text.count)
      }
      writer.zeros(KdumpHeader.timeOffset - writer.count)
      writer.u64(crashTime)
      writer.u64(0)
      for word in [status, UInt32(pageSize.bytes), subHeaderBlocks, bitmapBlocks, frames, 0, 0, 0, 0, max(1, cpus)] {
        writer.u32(word)
      }
      return writer.bytes
    }

    /// What `uname -m` says.
    public static func machine(_ architecture: Architecture) -> String {
      switch architecture {
      case .x86_64: "x86_64"
      case .arm64: "aarch64"
      }
    }

    /// The one whose name this is, or was before a byte or two of it were damaged.
    private static func architecture(_ machine: String, _ bytes: ArraySlice<UInt8>) -> Architecture? {
      Architecture.allCases.first { self.machine($0) == machine }
        ?? Architecture.allCases.first { architecture in
          let name = Array(self.machine(architecture).utf8)
          return zip(name, bytes).count { $0 == $1 } >= name.count - 2
        }
    }

    private static func name(_ reader: ByteReader, _ index: Int) -> String {
      reader.text(namesOffset + index * nameSize, limit: nameSize) ?? ""
    }
  }
#endif
