import DumpBasics
import DumpSource
public import Foundation

/// What a person does with a file that may be anything: opens it, and reads what it says it has.
///
/// Nothing is judged: whatever the bytes are, this returns. A trap, a hang or memory without bound is the failure.
public struct ReaderFuzz: Sendable {
  /// Where the bytes of one input are put; in memory, where the system has such a place.
  private let path: String
  private static let pieceLimit = 256
  private static let readLimit: UInt64 = 16 << 10

  public init() {
    let directory = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
    path = "\(directory)/mcore-fuzz-\(ProcessInfo.processInfo.processIdentifier)-\(UUID().uuidString)"
  }

  /// Returns whether the bytes were taken for a dump.
  @discardableResult public func read(_ bytes: some DataProtocol) -> Bool {
    guard (try? Data(bytes).write(to: URL(fileURLWithPath: path))) != nil else { return false }
    defer { try? FileManager.default.removeItem(atPath: path) }
    guard let source = try? openDump(path) else { return false }
    // A part of a split set is joined with itself: refused, but looked at.
    _ = try? openDump([path, path])
    for finding in source.findings { _ = finding.description }
    _ = source.leftOut.reduce(into: UInt64(0)) { $0 &+= $1.range.count }
    for note in source.largeNotes.prefix(8) {
      _ = try? [UInt8].filled(Int(min(note.size, 4096))) { (buffer) throws(DumpError) in
        try source.readLargeNote(note, at: 0, into: buffer)
      }
    }
    for piece in source.coverage().prefix(ReaderFuzz.pieceLimit) {
      let count = min(piece.range.count, ReaderFuzz.readLimit)
      _ = try? source.bytes(at: PhysicalAddress(piece.range.start), count: Int(count))
      _ = try? source.bytes(at: PhysicalAddress(piece.range.end - min(count, 100)), count: 200)
    }
    return true
  }
}
