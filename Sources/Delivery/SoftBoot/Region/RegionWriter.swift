public import DumpBasics

/// Writes a dump into a region. It is valid at every moment: what a reader finds after any single write,
/// whole or torn, is the dump up to some chunk, or nothing. docs/region.md, "The order of writes".
public final class RegionWriter {
  private let memory: any RegionMemory
  /// Whether memory that is not needed in the end is left out of the region.
  private let isFitted: Bool
  private var head: RegionHead
  /// The chunk that is being written, and what of it is there.
  private var chunk = 0
  private var filled = 0
  private var checksum: UInt32 = 0
  private var seal: UInt32 = 0
  private var isEnded = false

  private static let zeros = [UInt8](repeating: 0, count: RegionLayout.chunkSize)

  /// Throws when a dump lies there that was not saved. `fitted`: the memory was free, and not set aside. The
  /// region may end up smaller than `extents`, and only a dump of this very crash is in the way.
  public init(
    _ memory: any RegionMemory, _ extents: RegionExtents, _ identity: RegionIdentity, fitted: Bool
  ) throws(DumpError) {
    self.memory = memory
    isFitted = fitted
    head = RegionHead(extents)
    head.identity = identity
    // Free memory was the crashed kernel's own. What an earlier crash left there nobody finds any more, since
    // that kernel was started without it (the machine restarted on the way): it must not cost this dump as
    // well.
    let isReclaimed = fitted && identity.nonce != .none
    head.generation = try RegionWriter.requireFree(memory, extents, for: identity, isReclaimed: isReclaimed)
    head.dumpID = try .random()
    try writeHead()
    try writeHead()
  }

  /// Bytes of the dump so far.
  public var length: UInt64 { RegionLayout.position(ofChunk: chunk) + UInt64(filled) }
  /// The memory of the region, as it is now.
  public var extents: RegionExtents { head.extents }
  public var name: String { memory.name }

  /// Heads may be in any unit: the extents of an earlier region need not be these. Returns the highest
  /// generation there is. `isReclaimed`: what other crashes left there does not count.
  private static func requireFree(
    _ memory: any RegionMemory, _ extents: RegionExtents, for identity: RegionIdentity, isReclaimed: Bool
  ) throws(DumpError) -> UInt64 {
    var generation: UInt64 = 0
    var lying: [RegionHead] = []
    for unit in 0..<extents.units {
      for offset in [0, RegionLayout.secondHeadOffset] {
        let address = extents.address(ofUnit: unit) + offset
        let place = "\(memory.name), \(hex(address))"
        do throws(DumpError) {
          guard let found = try RegionHead(try memory.bytes(at: address, count: RegionLayout.headSize), at: place) else {
            continue
          }
          generation = max(generation, found.generation)
          lying.append(found)
        } catch {
          // A damaged head alone is no dump; one that can't be understood may be one.
          if error.kind != .input, !(isReclaimed && error.kind == .unsupported) { throw error }
        }
      }
    }
    for found in lying where found.state != .saved {
      if isReclaimed, found.identity.nonce != identity.nonce { continue }
      if lying.contains(where: { $0.dumpID == found.dumpID && $0.generation > found.generation }) { continue }
      // A dump of which nothing was written is none.
      if found.state == .writing, found.length == 0, RegionWriter.isEmpty(memory, found) { continue }
      // A part of this very dump, from a process that was killed: it is begun again.
      if found.state == .writing, !found.isCut, found.identity.isOfTheCrash(identity) { continue }
      throw DumpError(
        "a dump that was not saved lies here: of \(found.identity.release), "
          + UTCTime(secondsSince1970: found.identity.crashTime).text, at: "\(memory.name), \(found.extents.ranges[0])",
        advice: "save it, or wipe it, before another one takes its place")
    }
    return min(generation, .max / 2)
  }

  /// Whether not even the first chunk of a dump is there.
  private static func isEmpty(_ memory: any RegionMemory, _ head: RegionHead) -> Bool {
    let address = head.extents.address(ofUnit: 0) + RegionLayout.tableOffset
    guard let table = try? memory.bytes(at: address, count: UnitTable.size) else { return false }
    return ChunkEntry(table, 0, head.dumpID) == nil
  }

  // MARK: the dump

  /// The next bytes of the dump. Throws `.full` when they do not all fit: those that do are written.
  public func write(_ bytes: UnsafeRawBufferPointer) throws(DumpError) {
    if isEnded { throw DumpError("this dump is ended already", at: name) }
    var done = 0
    while done < bytes.count {
      let unit = UInt64(chunk / RegionLayout.chunksPerUnit)
      guard unit < head.extents.units else {
        throw DumpError(
          .full, "the region is full: \(humanBytes(head.extents.capacity)) of memory", at: name,
          advice: "what is there is the most important part of the dump")
      }
      if filled == 0, chunk % RegionLayout.chunksPerUnit == 0 { try beginUnit(unit) }
      let count = min(bytes.count - done, RegionLayout.chunkSize(chunk) - filled)
      let piece = unsafe UnsafeRawBufferPointer(rebasing: bytes[done..<done + count])
      let start = head.extents.address(ofUnit: unit)
      unsafe try memory.write(piece, at: start + RegionLayout.offset(ofChunk: chunk) + UInt64(filled))
      checksum = unsafe CRC32C.of(piece, from: checksum)
      filled += count
      done += count
      if filled == RegionLayout.chunkSize(chunk) { try endChunk() }
    }
  }

  /// The next `count` bytes of the dump are zeros.
  public func skip(_ count: UInt64) throws(DumpError) {
    var left = count
    while left > 0 {
      let step = min(left, UInt64(RegionWriter.zeros.count))
      unsafe try RegionWriter.zeros[..<Int(step)].lent { (piece) throws(DumpError) in unsafe try write(piece) }
      left -= step
    }
  }

  /// All of it is there. Returns the memory that the region takes in the end.
  public func complete() throws(DumpError) -> RegionExtents {
    try endChunk()
    try memory.settle()
    let before = head.extents
    head.length = length
    if isFitted { head.extents = before.prefix((length + RegionLayout.payloadSize - 1) / RegionLayout.payloadSize) }
    head.seal = seal
    head.state = .complete
    isEnded = true
    // Both copies: a later fault in one of them must not turn a whole dump into a part of one.
    try writeHead()
    try writeHead()
    try memory.settle()
    if before != head.extents { try? memory.write(RegionWriter.emptyHead, at: before.headAddress(0)) }
    return head.extents
  }

  /// There will be no more of it: what is there stays, marked as cut. For the way out of an error.
  public func abandon() {
    if isEnded { return }
    isEnded = true
    // Best effort: what is in memory counts, also without these.
    try? endChunk()
    head.length = RegionLayout.position(ofChunk: chunk) + UInt64(filled)
    head.isCut = true
    if (try? writeHead()) != nil { try? writeHead() }
    try? memory.settle()
  }

  static let emptyHead = [UInt8](repeating: 0, count: RegionLayout.headSize)

  private func beginUnit(_ unit: UInt64) throws(DumpError) {
    let table = UnitTable(unit: unit, dumpID: head.dumpID, identity: head.identity)
    try memory.write(table.encoded(), at: head.extents.address(ofUnit: unit) + RegionLayout.tableOffset)
    if unit > 0 {
      head.length = length
      try writeHead()
    }
  }

  /// The chunk's bytes are in memory: now its entry may say so. A chunk that is not full is the last one.
  private func endChunk() throws(DumpError) {
    if filled == 0 { return }
    let isFull = filled == RegionLayout.chunkSize(chunk)
    let entry = ChunkEntry(checksum: checksum, length: UInt32(filled))
    let unit = UInt64(chunk / RegionLayout.chunksPerUnit)
    try memory.write(
      entry.encoded(chunk, head.dumpID), at: head.extents.address(ofUnit: unit) + UnitTable.entryOffset(chunk))
    seal = RegionWriter.sealed(seal, checksum)
    guard isFull else { return }
    chunk += 1
    filled = 0
    checksum = 0
  }

  /// The seal with one chunk more.
  static func sealed(_ seal: UInt32, _ checksum: UInt32) -> UInt32 {
    var writer = ByteWriter(.little)
    writer.u32(checksum)
    return CRC32C.of(writer.bytes, from: seal)
  }

  private func writeHead() throws(DumpError) {
    head.generation += 1
    try memory.write(head.encoded(), at: head.extents.headAddress(head.generation))
  }
}
