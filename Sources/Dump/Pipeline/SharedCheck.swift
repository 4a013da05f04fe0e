internal import DumpBasics
internal import DumpPlan
internal import DumpSource

/// Whether memory that shares a place of the file still has the content that is written there. It had when
/// the dump was planned; a device that nobody stopped may have written to one of the two since.
///
/// It is read again at the moment at which the original's bytes are at hand, so that what is said holds for
/// these bytes.
struct SharedCheck: Sendable {
  private let shared: SharedPieces
  private let source: any DumpSource
  private let pageSize: UInt64

  /// Bytes that are read at a time.
  static let chunk = 64 << 10

  /// Nil where there is nothing to look at: a dump of ours that is written anew holds still.
  init?(_ plan: DumpPlan, _ source: any DumpSource) {
    guard source.metadata == nil, !plan.shared.pieces.isEmpty else { return nil }
    shared = plan.shared
    self.source = source
    pageSize = plan.pageSize.bytes
  }

  /// `bytes` stand at `start` of the file. `scratch` has `chunk` bytes.
  func compare(
    _ bytes: UnsafeRawBufferPointer, at start: UInt64, _ scratch: UnsafeMutableRawBufferPointer, _ slot: Slot
  ) {
    for piece in shared.overlapping(start, start + UInt64(bytes.count)) {
      var cursor = piece.fileOffset
      while cursor < piece.fileEnd {
        let count = Int(min(UInt64(SharedCheck.chunk), piece.fileEnd - cursor))
        let address = piece.memory.start + (cursor - piece.fileOffset)
        let written = unsafe UnsafeRawBufferPointer(rebasing: bytes[Int(cursor - start)..<Int(cursor - start) + count])
        unsafe compare(written, at: cursor, address, UnsafeMutableRawBufferPointer(rebasing: scratch[0..<count]), slot)
        cursor += UInt64(count)
      }
    }
  }

  /// Page by page, since it is pages that change. `place` is where `written` stands in the file.
  private func compare(
    _ written: UnsafeRawBufferPointer, at place: UInt64, _ address: UInt64, _ memory: UnsafeMutableRawBufferPointer,
    _ slot: Slot
  ) {
    slot.comparedBytes += UInt64(written.count)
    let isRead = unsafe (try? source.read(at: PhysicalAddress(address), into: memory)) != nil
    var offset = 0
    while offset < written.count {
      let here = address + UInt64(offset)
      let count = min(written.count - offset, Int(pageSize - here % pageSize))
      let mine = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[offset..<offset + count])
      let its = unsafe UnsafeRawBufferPointer(rebasing: written[offset..<offset + count])
      let isThere = unsafe isRead || (try? source.read(at: PhysicalAddress(here), into: mine)) != nil
      // What stands there is poison where the original is unreadable by now: that is told already.
      if unsafe !isThere || !isEqual(UnsafeRawBufferPointer(mine), its), !slot.isPoisoned(place + UInt64(offset)),
        let page = PhysicalRange(start: here, count: UInt64(count))
      {
        slot.changed.append(page)
      }
      offset += count
    }
  }
}
