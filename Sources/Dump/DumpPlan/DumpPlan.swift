public import CoreEncoding
public import DumpBasics
public import DumpSource
public import PageSelection

/// The whole dump, before its first byte: every header, and where in the (uncompressed) file each piece of
/// memory goes.
///
///     ELF header, program headers, notes │ pass 1 │ pass 2 │ hole │ pass 3 … 6 │ trailer │ footer
///
/// Everything but the trailer is known here. `trailerOffset` is a multiple of the block size, so that block k
/// of the file always begins at k × 61,440.
public struct DumpPlan: Sendable {
  /// A piece of the file between headers and trailer. What lies between pieces is zeros.
  public struct Piece: Sendable, Equatable {
    public var fileOffset: UInt64
    public var memory: PhysicalRange
    public var fileEnd: UInt64 { fileOffset + memory.count }
  }

  public let identity: MachineIdentity
  public let pageSize: PageSize
  /// The file from 0 on: ELF header, program headers, notes.
  public let header: [UInt8]
  /// The notes in `header` without mcore's own.
  public let notes: [DumpNote]
  /// Notes that stay in the source until they are written, right behind `header`.
  public let largeNotes: [PlacedNote]
  /// Memory to be read, by ascending file offset.
  public let pieces: [Piece]
  /// Memory that has no place of its own, at the places where its content stands.
  public let shared: SharedPieces
  public let trailerOffset: UInt64
  /// What the MCORE note in `header` says.
  public let note: MCoreNote
  /// Bytes of memory that the dump holds, zeros included.
  public let memoryBytes: UInt64

  /// Long zero runs share one stretch of the file, of at most this size.
  static let holeLimit: UInt64 = 16 << 20
  /// Readers scan program headers one by one: zero runs don't get one of their own beyond this number.
  static let programHeaderCeiling = 200_000

  /// Takes over the selection: what it keeps is not needed beside what is made of it, and of a large machine
  /// each of both is megabytes.
  /// `notes` are those of the source, or what stands for them; its own note MCORE is made here.
  public init(
    _ selection: consuming PageSelection, _ source: any DumpSource, notes sourceNotes: [DumpNote]? = nil, zeros: ZeroScan,
    shared: [SharedRange] = [], tool: String,
    crashTime: UInt64, findings: [String], classes: [MCoreNote.ClassCount] = [], checks: [MCoreNote.CheckCount] = []
  ) throws(DumpError) {
    let pageSize = selection.pageSize
    var note = MCoreNote()
    note.tool = tool
    note.level = selection.level
    note.crashTime = crashTime
    note.isLive = source.isLive || source.statement?.isLive ?? false
    note.leftOut = selection.absent
    note.withoutData = selection.withoutData
    note.findings = findings
    note.classes = classes
    note.checks = checks
    note.passEnds = Pass.allCases.map { _ in 0 }
    note.keptPages = RangeSet.joined(selection.kept.map(\.range)).reduce(0) { $0 + pageSize.pages(in: $1) }
    memoryBytes = selection.kept.reduce(0) { $0 + $1.range.count }

    // Which zero runs leave the stream for the hole, and which runs share a place. If that makes too many
    // program headers, no runs do; then only longer zero runs.
    var threshold = ZeroScan.longRun
    note.shared = shared
    var extents: [Extent] = []
    var loads: [Load] = []
    while true {
      let long = zeros.longRuns.filter { $0.count >= threshold }
      note.holeSize = min(DumpPlan.holeLimit, long.map { pageSize.ceil($0.count) ?? $0.count }.max() ?? 0)
      extents = DumpPlan.extents(selection.kept, long, &note.shared, note.holeSize)
      loads = DumpPlan.loads(extents, source.segments)
      // Longer ones than the hole get many headers each; as zeros in the stream they would cost far more.
      if loads.count <= DumpPlan.programHeaderCeiling || threshold >= DumpPlan.holeLimit { break }
      if note.shared.isEmpty { threshold *= 2 } else { note.shared = [] }
    }
    selection.kept = []
    // With exactly one PT_LOAD crash ignores its bounds.
    if loads.count == 1, let only = loads.first {
      DumpPlan.cutInTwo(&extents, at: Int(only.extent), pageSize)
      loads = DumpPlan.loads(extents, source.segments)
    }
    note.zeroPages = extents.reduce(0) { $1.kind == .hole ? $0 + pageSize.pages(in: $1.range) : $0 }

    // The note's size is known before its numbers are.
    var notes = (sourceNotes ?? source.notes).filter { $0.name != MCoreNote.name }
    self.notes = notes
    let identity = source.identity
    let headersSize = UInt64(ELF64.headersSize(programHeaders: loads.count + 1))
    let notesSize = UInt64(
      ELF64.encodedSize(notes) + ELF64.encodedSize(MCoreNote.name, note.encodedSize(identity.architecture, pageSize)))
    largeNotes = PlacedNote.placed(source.largeNotes, from: headersSize + notesSize, identity.byteOrder)
    let allNotesSize = notesSize + largeNotes.reduce(0) { $0 + $1.count }

    let order = try DumpPlan.place(&extents, from: headersSize + allNotesSize, &note, pageSize)
    let end = note.passEnds.last ?? 0
    let blockSize = UInt64(BGZF.blockSize)
    note.trailerOffset = (end + blockSize - 1) / blockSize * blockSize
    trailerOffset = note.trailerOffset

    var header = try DumpPlan.programHeaders(loads, extents, source, headersSize, allNotesSize, room: notesSize)
    loads = []
    pieces = order.map { Piece(fileOffset: extents[Int($0)].fileOffset, memory: extents[Int($0)].range) }
    self.shared = SharedPieces(
      extents.lazy.filter { $0.kind == .shared }.map { Piece(fileOffset: $0.fileOffset, memory: $0.range) })
    extents = []
    notes.append(
      DumpNote(name: MCoreNote.name, type: MCoreNote.type, descriptor: note.encoded(identity.architecture, pageSize)))
    for each in notes { ELF64.append(each, identity.byteOrder, to: &header) }
    self.header = header
    self.identity = identity
    self.pageSize = pageSize
    self.note = note
  }

  /// Memory that is read when the dump is written, that at the place of other memory too; sorted, disjoint.
  public var memoryRead: [PhysicalRange] { RangeSet.joined((pieces + shared.pieces).map(\.memory)) }

  /// Memory that is not in a file of which only the first `present` bytes of content are there; sorted. The
  /// hole does not count: what it holds is known.
  public func missing(beyond present: UInt64) -> [PhysicalRange] {
    RangeSet.joined(
      (pieces + shared.pieces).compactMap { piece in
        let there = present > piece.fileOffset ? min(piece.memory.count, present - piece.fileOffset) : 0
        return PhysicalRange(piece.memory.start + there, piece.memory.end)
      })
  }

  // MARK: steps

  /// A stretch of memory that stands in the file in one piece, or as a reference to the hole or to another
  /// stretch.
  private struct Extent {
    enum Kind {
      case data
      case hole
      case shared
    }
    var range: PhysicalRange
    /// Until places are given, of one that is shared: the address of its original.
    var fileOffset: UInt64 = 0
    var rank: UInt32
    var pass: Pass
    var kind: Kind
  }

  /// One PT_LOAD: what of an extent one of the source's segments has. Indices alone, since there are up to
  /// 200,000 of these.
  private struct Load {
    var extent: UInt32
    var segment: UInt32

    /// The memory.
    func range(_ extents: [Extent], _ segments: [MemorySegment]) -> PhysicalRange {
      let all = extents[Int(extent)].range
      return all.intersection(segments[Int(segment)].physical) ?? all
    }
  }

  /// Kept runs, cut where memory without a place of its own begins and ends; neighbours of one pass joined.
  /// By address. What of `shared` has its original not in one piece is taken out of it, and gets a place.
  private static func extents(
    _ kept: [KeptRun], _ zeros: [PhysicalRange], _ shared: inout [SharedRange], _ holeSize: UInt64
  ) -> [Extent] {
    while true {
      let made = extents(kept, zeros, shared, holeSize)
      let sound = shared.filter { run in run.originalRange.flatMap { data(made, $0) } != nil }
      if sound.count == shared.count { return made }
      shared = sound
    }
  }

  private static func extents(
    _ kept: [KeptRun], _ zeros: [PhysicalRange], _ shared: [SharedRange], _ holeSize: UInt64
  ) -> [Extent] {
    var extents: [Extent] = []
    extents.reserveCapacity(kept.count + 2 * (zeros.count + shared.count))
    func add(_ range: PhysicalRange, _ run: KeptRun) {
      if let last = extents.last, last.kind == .data, last.pass == run.pass, last.rank == run.rank, last.range.end == range.start
      {
        extents[extents.count - 1].range.end = range.end
      } else {
        extents.append(Extent(range: range, rank: run.rank, pass: run.pass, kind: .data))
      }
    }
    let placeless = Placeless.merged(zeros, shared)
    for run in kept {
      var cursor = run.range.start
      var index = placeless.partitionPoint { $0.range.end <= cursor }
      while index < placeless.count, let range = placeless[index].range.intersection(run.range) {
        if let data = PhysicalRange(cursor, range.start) { add(data, run) }
        cursor = range.start
        if let original = placeless[index].original {
          let start = original &+ (range.start - placeless[index].range.start)
          // The rest of a run that a kept run's end has cut: in a dump that is written anew these are as its
          // program headers are.
          if let last = extents.last, last.kind == .shared, last.range.end == range.start,
            range.start > placeless[index].range.start
          {
            extents[extents.count - 1].range.end = range.end
          } else {
            extents.append(Extent(range: range, fileOffset: start, rank: run.rank, pass: run.pass, kind: .shared))
          }
          cursor = range.end
        }
        while let part = PhysicalRange(cursor, min(range.end, cursor + holeSize)) {
          extents.append(Extent(range: part, rank: run.rank, pass: run.pass, kind: .hole))
          cursor = part.end
        }
        index += 1
      }
      if let rest = PhysicalRange(cursor, run.range.end) { add(rest, run) }
    }
    return extents
  }

  /// Memory without a place of its own: zeros, or what has an original.
  private struct Placeless {
    var range: PhysicalRange
    var original: UInt64?

    /// By address; both are sorted and disjoint. Of shared memory only what is no zeros.
    static func merged(_ zeros: [PhysicalRange], _ shared: [SharedRange]) -> [Placeless] {
      if shared.isEmpty { return zeros.map { Placeless(range: $0, original: nil) } }
      let others = shared.filter { RangeSet.overlapping(zeros, $0.range).isEmpty }
      return
        (zeros.map { Placeless(range: $0, original: nil) }
        + others.map { Placeless(range: $0.range, original: $0.original.rawValue) })
        .sorted { $0.range.start < $1.range.start }
    }
  }

  /// The extent with data that all of `range` is in.
  private static func data(_ extents: [Extent], _ range: PhysicalRange) -> Extent? {
    let index = extents.partitionPoint { $0.range.end <= range.start }
    guard index < extents.count else { return nil }
    let extent = extents[index]
    return extent.kind == .data && extent.range.start <= range.start && extent.range.end >= range.end ? extent : nil
  }

  /// Every extent under every mapping that the source has for it, by physical address.
  private static func loads(_ extents: [Extent], _ segments: [MemorySegment]) -> [Load] {
    var loads: [Load] = []
    loads.reserveCapacity(extents.count + segments.count)
    for (index, segment) in segments.enumerated() {
      var extent = extents.partitionPoint { $0.range.end <= segment.physical.start }
      while extent < extents.count, extents[extent].range.intersection(segment.physical) != nil {
        loads.append(Load(extent: UInt32(extent), segment: UInt32(index)))
        extent += 1
      }
    }
    loads.sort { ($0.range(extents, segments).start, $0.segment) < ($1.range(extents, segments).start, $1.segment) }
    return loads
  }

  /// ELF header and program headers; room for the notes behind them.
  private static func programHeaders(
    _ loads: [Load], _ extents: [Extent], _ source: any DumpSource, _ headersSize: UInt64, _ notesSize: UInt64, room: UInt64
  ) throws(DumpError) -> [UInt8] {
    let segments = source.segments
    let programHeaders = (0...loads.count).lazy.map { index in
      // The first one is PT_NOTE.
      guard index > 0 else {
        return ELFProgramHeader(
          type: ELFProgramHeader.note, flags: 0, offset: headersSize, virtualAddress: 0, physicalAddress: 0,
          fileSize: notesSize, memorySize: notesSize)
      }
      let load = loads[index - 1]
      let extent = extents[Int(load.extent)]
      let segment = segments[Int(load.segment)]
      let range = load.range(extents, segments)
      return ELFProgramHeader(
        type: ELFProgramHeader.load, flags: segment.flags,
        offset: extent.fileOffset + (extent.kind == .hole ? 0 : range.start - extent.range.start),
        // Wraps: a mapping near 2^64 may end exactly there.
        virtualAddress: segment.virtualAddress &+ (range.start - segment.physical.start),
        physicalAddress: range.start, fileSize: range.count, memorySize: range.count)
    }
    return try ELF64.encode(source.identity, programHeaders, room: Int(room))
  }

  /// Makes two of an extent, at the border of a page in its middle; none where it has no such border. An
  /// extent that shares a place is never the only one.
  private static func cutInTwo(_ extents: inout [Extent], at index: Int, _ pageSize: PageSize) {
    let whole = extents[index]
    var middle = pageSize.floor(whole.range.start + whole.range.count / 2)
    if middle <= whole.range.start { middle += pageSize.bytes }
    guard let first = PhysicalRange(whole.range.start, middle), let second = PhysicalRange(middle, whole.range.end) else {
      return
    }
    extents[index].range = first
    extents.insert(whole, at: index + 1)
    extents[index + 1].range = second
  }

  /// Gives every extent its file offset, pass after pass, and by address within a rank. A page of memory
  /// fills a page of the file, so that none straddles two blocks. Returns the extents with data, by file
  /// offset.
  private static func place(
    _ extents: inout [Extent], from start: UInt64, _ note: inout MCoreNote, _ pageSize: PageSize
  ) throws(DumpError) -> [UInt32] {
    var cursor = pageSize.floor(start + pageSize.bytes - 1)
    var order: [UInt32] = []
    order.reserveCapacity(extents.count)
    for index in extents.indices where extents[index].kind == .data { order.append(UInt32(index)) }
    order.sort {
      let (a, b) = (extents[Int($0)], extents[Int($1)])
      return (a.pass, a.rank, $0) < (b.pass, b.rank, $1)
    }
    var next = 0
    for (index, pass) in Pass.allCases.enumerated() {
      while next < order.count, extents[Int(order[next])].pass == pass {
        let position = Int(order[next])
        next += 1
        let range = extents[position].range
        let offset = cursor + range.start % pageSize.bytes
        extents[position].fileOffset = offset
        guard let end = pageSize.ceil(offset + range.count) else {
          throw DumpError("the dump would be larger than 2^64 bytes", advice: "the source's program headers are damaged")
        }
        cursor = end
      }
      note.passEnds[index] = cursor
      // After pass 2: a dump that is cut there loses no kernel page for the sake of zeros.
      if pass == .kernelCore {
        note.holeOffset = cursor
        cursor += note.holeSize
      }
    }
    for position in extents.indices {
      switch extents[position].kind {
      case .data: break
      case .hole: extents[position].fileOffset = note.holeOffset
      case .shared:
        guard let range = PhysicalRange(start: extents[position].fileOffset, count: extents[position].range.count),
          let original = data(extents, range)
        else { throw DumpError("memory at \(hex(extents[position].range.start)) shares the place of memory that has none") }
        extents[position].fileOffset = original.fileOffset + (range.start - original.range.start)
      }
    }
    return order
  }
}
