#if Kdump
  internal import CoreEncoding
  internal import DumpBasics
  internal import DumpPlan
  internal import DumpSource

  /// What a kdump-compressed file says of the kernel beside its memory and notes.
  public struct KdumpKernel: Sendable {
    /// The strings of struct new_utsname; empty where they are not known.
    public var names: [String] = []
    /// `phys_base` of x86_64: crash needs it to find anything.
    public var physicalBase: UInt64 = 0
    public var dumpLevel: Int32 = 0
    public var cpus = 1
    public init() {}
  }

  /// Where everything stands in a file that is to be written.
  struct KdumpFileLayout: Sendable {
    let header: KdumpHeader
    /// The frames of memory that exists, and of the pages that are written.
    let existing: FrameBitmap
    let written: FrameBitmap
    /// Bytes of each bitmap.
    let bitmapSize: UInt64
    let descriptors: UInt64
    let data: UInt64
    private let subHeader: KdumpSubHeader
    private let notes: [UInt8]
    /// Behind those: they are copied from the source as the file is written.
    let largeNotes: [PlacedNote]
    /// Bytes of what stands before the bitmaps.
    var headSize: UInt64 { (1 + UInt64(header.subHeaderBlocks)) * header.pageSize.bytes }

    init(_ plan: DumpPlan, _ source: any DumpSource, _ kernel: KdumpKernel, status: UInt32) throws(DumpError) {
      let pageSize = plan.pageSize
      let block = pageSize.bytes
      written = FrameBitmap(plan.memoryRead, pageSize)
      existing = FrameBitmap(
        RangeSet.joined(source.coverage().map(\.range) + plan.note.leftOut.map(\.range) + plan.memoryRead), pageSize)
      let frames = max(existing.end, written.end)

      // Notes stand right behind the second header, in whole blocks. VMCOREINFO is in them: some readers find
      // it nowhere else.
      var notes: [UInt8] = []
      var second = KdumpSubHeader()
      let place = block + UInt64(KdumpSubHeader.size)
      for note in plan.notes + [KdumpFileLayout.own(plan)] {
        ELF64.append(note, plan.identity.byteOrder, to: &notes)
        if note.isVMCoreInfo, second.vmcoreinfo == nil {
          let padded = (note.descriptor.count + 3) / 4 * 4
          second.vmcoreinfo = .init(offset: place + UInt64(notes.count - padded), count: UInt64(note.descriptor.count))
        }
      }
      largeNotes = PlacedNote.placed(source.largeNotes, from: place + UInt64(notes.count), plan.identity.byteOrder)
      let notesSize = largeNotes.reduce(UInt64(notes.count)) { $0 + $1.count }
      second.notes = .init(offset: place, count: notesSize)
      second.physicalBase = kernel.physicalBase
      second.dumpLevel = kernel.dumpLevel
      second.frames = frames
      let subBlocks = (UInt64(KdumpSubHeader.size) + notesSize + block - 1) / block
      bitmapSize = ((frames + 7) / 8 + block - 1) / block * block
      guard let blocks = UInt32(exactly: 2 * bitmapSize / block), let subHeaderBlocks = UInt32(exactly: subBlocks) else {
        throw DumpError("\(hex(frames)) page frames are more than a kdump-compressed file can have", advice: "write ELF")
      }
      var header = KdumpHeader(plan.identity, pageSize, names: KdumpFileLayout.names(kernel, plan.identity.architecture))
      header.crashTime = plan.note.crashTime
      header.status = status
      header.subHeaderBlocks = subHeaderBlocks
      header.bitmapBlocks = blocks
      header.frames = UInt32(clamping: frames)
      header.cpus = UInt32(clamping: max(1, kernel.cpus))
      self.header = header
      self.notes = notes
      subHeader = second
      descriptors = (1 + subBlocks) * block + 2 * bitmapSize
      data = descriptors + written.count * UInt64(KdumpPageDescriptor.size)
    }

    /// Both headers and the notes that are held; `largeNotes` and zeros up to `headSize` follow.
    func head(isIncomplete: Bool) -> [UInt8] {
      var header = header
      if isIncomplete { header.status |= KdumpHeader.incomplete }
      let block = Int(header.pageSize.bytes)
      var bytes = header.encoded()
      bytes += [UInt8](repeating: 0, count: block - bytes.count)
      return bytes + subHeader.encoded(header.identity.byteOrder) + notes
    }

    /// What mcore says of the dump; what is of the layout of an ELF file alone is not in it. Its type is not
    /// 1 as in ELF, which some readers of notes take for NT_PRSTATUS without a look at the name.
    private static func own(_ plan: DumpPlan) -> DumpNote {
      var note = plan.note
      note.trailerOffset = 0
      note.holeOffset = 0
      note.holeSize = 0
      note.zeroPages = 0
      note.passEnds = []
      note.shared = []
      return DumpNote(
        name: MCoreNote.name, type: MCoreNote.kdumpType, descriptor: note.encoded(plan.identity.architecture, plan.pageSize))
    }

    private static func names(_ kernel: KdumpKernel, _ architecture: Architecture) -> [String] {
      var names = (0..<6).map { kernel.names.indices.contains($0) ? kernel.names[$0] : "" }
      if names[0].isEmpty { names[0] = "Linux" }
      // Readers choose the architecture by it.
      names[4] = KdumpHeader.machine(architecture)
      return names
    }
  }
#endif
