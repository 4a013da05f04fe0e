internal import CoreEncoding
public import DumpBasics
public import DumpSource

/// A dump as the plain ELF core that it is once it is decompressed, at any offset and from any number of
/// threads.
///
/// A dump that is ELF reads byte for byte like the file within. For any other an ELF file is made up: its
/// headers are in memory, its segments are the pieces of memory that the dump has.
public final class CoreView: Sendable {
  private struct Piece {
    var offset: UInt64
    var range: PhysicalRange
    var end: UInt64 { offset + range.count }
  }

  private let source: any DumpSource
  /// Of an ELF file that is made up; empty for one that is there.
  private let header: [UInt8]
  private let pieces: [Piece]
  private let cache = Lazy()
  private let strictness: StrictReading?
  public let size: UInt64

  /// So much of what was inflated is kept.
  public static let defaultCache: UInt64 = 64 << 20

  /// `isStrict`: memory that the dump does not really have can't be read, where else it would be zeros or a
  /// pattern.
  public init(
    _ source: any DumpSource, isStrict: Bool = false, cacheBytes: UInt64 = CoreView.defaultCache
  ) throws(DumpError) {
    self.source = source
    strictness = if isStrict, let elf = source as? ELFSource { try StrictReading(elf) } else { nil }
    if let elf = source as? ELFSource {
      header = []
      pieces = []
      size = elf.contentSize
    } else {
      (header, pieces) = try CoreView.madeUp(source)
      size = pieces.map(\.end).max() ?? UInt64(header.count)
    }
    guard source.isCompressed else { return }
    // As large as what is inflated at a time: a member of BGZF, a frame of elf.zst.
    let blockSize = source.format == "elf.zst" ? DumpTrailer.groupSize : BGZF.blockSize
    cache.set(
      unsafe BlockCache(blockSize: blockSize, bytes: cacheBytes, fileSize: size) {
        [unowned self] (offset, buffer) throws(DumpError) in
        unsafe try readSource(at: offset, into: buffer)
      })
  }

  /// Fills `buffer` from `offset` on; all of it has to lie below `size`.
  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    guard offset <= size, UInt64(buffer.count) <= size - offset else {
      throw DumpError("reading past the end, at \(hex(offset))", at: source.name)
    }
    if let strictness, strictness.isMissing(offset..<offset + UInt64(buffer.count)) {
      throw DumpError("memory that could not be read when the dump was written, at \(hex(offset))", at: source.name)
    }
    if let cache = cache.value {
      unsafe try cache.read(at: offset, into: buffer)
    } else {
      unsafe try readSource(at: offset, into: buffer)
    }
  }

  private func readSource(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    if let elf = source as? ELFSource {
      unsafe try elf.readContent(at: offset, into: buffer)
      unsafe strictness?.change(buffer, from: offset)
      return
    }
    unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
    let end = offset + UInt64(buffer.count)
    if offset < UInt64(header.count) {
      unsafe buffer.copyBytes(from: header[Int(offset)..<Int(min(end, UInt64(header.count)))])
    }
    var index = pieces.partitionPoint { $0.end <= offset }
    while index < pieces.count, pieces[index].offset < end {
      let piece = pieces[index]
      let (from, to) = (max(piece.offset, offset), min(piece.end, end))
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[Int(from - offset)..<Int(to - offset)])
      unsafe try source.read(at: PhysicalAddress(piece.range.start + (from - piece.offset)), into: part)
      index += 1
    }
  }

  /// Headers, and where each piece of memory goes: one behind the other, at page borders.
  private static func madeUp(_ source: any DumpSource) throws(DumpError) -> ([UInt8], [Piece]) {
    var ranges = source.coverage().filter { $0.kind != .cut }.map(\.range)
    // With exactly one PT_LOAD crash ignores its bounds.
    if ranges.count == 1, let half = split(ranges[0]) { ranges = half }
    guard ranges.count < Int(ELF64.programHeaderLimit) else {
      throw DumpError(
        .unsupported, "memory in \(ranges.count) pieces: more than an ELF file can have program headers for",
        at: source.name, advice: "crash and drgn read the file itself")
    }
    let notes = ELF64.encodeNotes(source.notes.filter { $0.name != MCoreNote.name }, source.identity.byteOrder)
    let headersSize = UInt64(ELF64.headersSize(programHeaders: ranges.count + 1))
    let border: UInt64 = 64 << 10
    var cursor = (headersSize + UInt64(notes.count) + border - 1) / border * border
    var pieces: [Piece] = []
    var programHeaders = [
      ELFProgramHeader(
        type: ELFProgramHeader.note, flags: 0, offset: headersSize, virtualAddress: 0, physicalAddress: 0,
        fileSize: UInt64(notes.count), memorySize: UInt64(notes.count))
    ]
    for range in ranges {
      pieces.append(Piece(offset: cursor, range: range))
      programHeaders.append(
        ELFProgramHeader(
          type: ELFProgramHeader.load, flags: 7, offset: cursor, virtualAddress: 0, physicalAddress: range.start,
          fileSize: range.count, memorySize: range.count))
      let (end, overflow) = cursor.addingReportingOverflow(range.count)
      guard !overflow, end < UInt64(Int64.max) else { throw DumpError("too much memory for a file", at: source.name) }
      cursor = (end + 4095) / 4096 * 4096
    }
    return (try ELF64.encode(source.identity, programHeaders, room: notes.count) + notes, pieces)
  }

  private static func split(_ range: PhysicalRange) -> [PhysicalRange]? {
    let middle = (range.start + range.count / 2) / 4096 * 4096
    guard let first = PhysicalRange(range.start, middle), let second = PhysicalRange(middle, range.end) else { return nil }
    return [first, second]
  }

  /// The cache reads through the view that has it: it is set once, before anybody else knows the view.
  private final class Lazy: @unchecked Sendable {
    // SAFETY: `set` is called in `init` alone.
    private(set) var value: BlockCache?
    func set(_ cache: BlockCache) { value = cache }
  }
}
