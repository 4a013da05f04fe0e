internal import CoreEncoding
public import DumpBasics
public import DumpSource

/// A note of the source that is too large to be held, and its place in the dump: header and name, then the
/// descriptor, which is copied from the source when the dump is written.
public struct PlacedNote: Sendable, Equatable {
  public let fileOffset: UInt64
  /// Header and name, padded.
  let prefix: [UInt8]
  public let note: LargeNote
  /// Bytes of all of it, padding included.
  public var count: UInt64 { UInt64(prefix.count) + (note.size + 3) / 4 * 4 }
  public var fileEnd: UInt64 { fileOffset + count }

  /// One behind the other from `start` on.
  public static func placed(_ notes: [LargeNote], from start: UInt64, _ order: ByteOrder) -> [PlacedNote] {
    var offset = start
    return notes.map { note in
      let placed = PlacedNote(
        fileOffset: offset, prefix: ELF64.noteHeader(note.name, note.type, descriptorSize: UInt32(clamping: note.size), order),
        note: note)
      offset = placed.fileEnd
      return placed
    }
  }

  /// Fills `buffer`, which stands at `position` of the file, inside of this note. Throws where the source
  /// can't be read.
  public func fill(
    _ buffer: UnsafeMutableRawBufferPointer, at position: UInt64, _ source: any DumpSource
  ) throws(DumpError) {
    unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
    let start = position - fileOffset
    let head = UInt64(prefix.count)
    if start < head {
      let part = prefix[Int(start)..<min(prefix.count, Int(start) + buffer.count)]
      unsafe buffer.copyBytes(from: part)
    }
    let from = max(start, head)
    let end = min(start + UInt64(buffer.count), head + note.size)
    guard from < end else { return }
    let place = Int(from - start)
    unsafe try source.readLargeNote(
      note, at: from - head, into: UnsafeMutableRawBufferPointer(rebasing: buffer[place..<place + Int(end - from)]))
  }
}
