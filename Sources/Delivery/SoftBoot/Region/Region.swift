public import DumpBasics

/// A region that was found: its claims are checked, its chunks are when they are copied. docs/region.md,
/// "Reading".
public final class Region {
  /// What led to it.
  public enum Evidence: Sendable, Equatable {
    case head
    /// Both heads are gone; the tables of the units say what belongs to the dump and in which order.
    case tables
    /// Tables are gone as well: what is there are compressed blocks, each with its own checksum.
    case blocks
  }

  let memory: any RegionMemory
  public let evidence: Evidence
  /// The newest head. Without one, what the tables say.
  public internal(set) var head: RegionHead
  /// For each unit its address; nil where the memory is not there.
  let units: [UInt64?]
  /// For each chunk its entry; nil where there is none that is right.
  private let entries: [ChunkEntry?]
  /// What can be read where blocks are the evidence: ascending, disjoint, in bytes of the dump.
  private let blocks: [Range<UInt64>]
  /// What is wrong with the directory, a line each.
  public let findings: [String]
  /// Bytes of the dump, damaged ones included.
  public let length: UInt64

  /// By a head or by tables.
  init(_ memory: any RegionMemory, _ head: RegionHead, _ units: [UInt64?], _ evidence: Evidence, _ findings: [String]) {
    self.memory = memory
    self.head = head
    self.units = units
    self.evidence = evidence
    blocks = []
    var findings = findings
    var entries: [ChunkEntry?] = []
    let isComplete = evidence == .head && head.state != .writing
    let stated = RegionLayout.chunks(head.length)
    let chunks = isComplete ? stated : units.count * RegionLayout.chunksPerUnit
    // Behind what a head says there may be more: heads are written once for each unit.
    var end = min(head.length, UInt64(units.count) * RegionLayout.payloadSize)
    var count = min(stated, chunks)
    for first in stride(from: 0, to: chunks, by: RegionLayout.chunksPerUnit) {
      let unit = first / RegionLayout.chunksPerUnit
      let table = units[unit].flatMap { try? memory.bytes(at: $0 + RegionLayout.tableOffset, count: UnitTable.size) }
      if table == nil { findings.append("unit \(unit) of the region can't be read") }
      for chunk in first..<min(chunks, first + RegionLayout.chunksPerUnit) {
        let entry = table.flatMap { ChunkEntry($0, chunk, head.dumpID) }
        entries.append(entry)
        if let entry, !isComplete {
          count = max(count, chunk + 1)
          end = max(end, RegionLayout.position(ofChunk: chunk) + UInt64(entry.length))
        }
      }
    }
    self.entries = Array(entries[..<min(count, entries.count)])
    self.findings = findings
    length = end
  }

  /// By blocks alone.
  init(_ memory: any RegionMemory, _ head: RegionHead, _ units: [UInt64?], blocks: [Range<UInt64>], _ findings: [String]) {
    self.memory = memory
    self.head = head
    self.units = units
    self.blocks = blocks
    self.findings = findings
    evidence = .blocks
    entries = []
    length = blocks.last?.upperBound ?? 0
  }

  /// Whether a dump is there that nobody saved.
  public var isUnsaved: Bool { head.state != .saved && length > 0 }

  /// Whether no part of its memory is missing.
  public var isAllThere: Bool { !units.contains { $0 == nil } }

  /// What came out of copying.
  public struct Outcome: Sendable, Equatable {
    /// Complete, every checksum right: the dump that was written, byte for byte.
    public var isWhole = false
    /// Bytes that were handed out.
    public var good: UInt64 = 0
    /// Stretches of the dump in whose place zeros stand.
    public var damaged: [Range<UInt64>] = []
  }

  /// Hands out the dump from start to end. Bytes pass `write` only after their checksum was found right;
  /// `skip` hears of those that are damaged or missing.
  public func copy(
    write: (UnsafeRawBufferPointer) throws(DumpError) -> Void, skip: (UInt64) throws(DumpError) -> Void
  ) throws(DumpError) -> Outcome {
    var outcome = Outcome()
    var seal: UInt32 = 0
    var buffer = [UInt8](repeating: 0, count: RegionLayout.chunkSize)
    for piece in pieces() {
      let count = Int(piece.range.count)
      if isGood(piece, &buffer) {
        outcome.good += UInt64(count)
        if case .chunk(let entry?) = piece.proof { seal = RegionWriter.sealed(seal, entry.checksum) }
        unsafe try buffer[..<count].lent { (bytes) throws(DumpError) in unsafe try write(bytes) }
      } else {
        if let last = outcome.damaged.last, last.upperBound == piece.range.lowerBound {
          outcome.damaged[outcome.damaged.count - 1] = last.lowerBound..<piece.range.upperBound
        } else {
          outcome.damaged.append(piece.range)
        }
        try skip(UInt64(count))
      }
    }
    outcome.isWhole =
      evidence == .head && head.state != .writing && outcome.damaged.isEmpty && outcome.good == head.length
      && seal == head.seal
    return outcome
  }

  /// Reads everything and hands out nothing.
  public func check() -> Outcome {
    (unsafe try? copy(write: { _ throws(DumpError) in }, skip: { _ throws(DumpError) in })) ?? Outcome()
  }

  // MARK: pieces of the dump

  private struct Piece {
    enum Proof {
      case chunk(ChunkEntry?)
      /// Inflated already, or nothing that inflates.
      case block(Bool)
    }
    /// In bytes of the dump, at most a chunk.
    var range: Range<UInt64>
    var proof: Proof
  }

  private func pieces() -> any Sequence<Piece> {
    if evidence == .blocks { return blockPieces() }
    return entries.indices.lazy.map { chunk in
      let start = RegionLayout.position(ofChunk: chunk)
      let full = UInt64(RegionLayout.chunkSize(chunk))
      return Piece(range: start..<min(start + full, max(start, self.length)), proof: .chunk(self.entries[chunk]))
    }
  }

  private func blockPieces() -> [Piece] {
    var pieces: [Piece] = []
    var position: UInt64 = 0
    for (range, isGood) in blocks.flatMap({ [(position..<$0.lowerBound, false), ($0, true)] }) where range.upperBound > position {
      position = max(position, range.lowerBound)
      while position < range.upperBound {
        let end = min(range.upperBound, position + UInt64(RegionLayout.chunkSize))
        pieces.append(Piece(range: position..<end, proof: .block(isGood)))
        position = end
      }
    }
    return pieces
  }

  /// Reads a piece into the start of `buffer`; whether it is what was written.
  private func isGood(_ piece: Piece, _ buffer: inout [UInt8]) -> Bool {
    let count = Int(piece.range.count)
    switch piece.proof {
    case .block(false), .chunk(nil): return false
    case .block(true), .chunk:
      guard let bytes = try? stream(memory, units, piece.range.lowerBound, count) else { return false }
      if case .chunk(let entry?) = piece.proof, entry.length != UInt32(count) || CRC32C.of(bytes) != entry.checksum {
        return false
      }
      buffer.replaceSubrange(0..<count, with: bytes)
      return true
    }
  }
}

/// Bytes of the dump, wherever its units lie.
func stream(
  _ memory: any RegionMemory, _ units: [UInt64?], _ position: UInt64, _ count: Int
) throws(DumpError) -> [UInt8] {
  var bytes: [UInt8] = []
  while bytes.count < count {
    let here = position + UInt64(bytes.count)
    let unit = Int(here / RegionLayout.payloadSize)
    guard unit < units.count, let start = units[unit] else {
      throw DumpError("this part of the region is not there", at: "unit \(unit)")
    }
    let inside = here % RegionLayout.payloadSize
    let piece = min(UInt64(count - bytes.count), RegionLayout.payloadSize - inside)
    bytes += try memory.bytes(at: start + RegionLayout.payloadOffset + inside, count: Int(piece))
  }
  return bytes
}
