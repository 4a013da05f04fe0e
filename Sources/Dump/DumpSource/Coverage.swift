public import DumpBasics

/// A stretch of the crashed machine's memory and what the source has of it.
public struct Coverage: Sendable, Equatable {
  public enum Kind: Sendable, Equatable {
    /// Data, from this offset of the (decompressed) source on.
    case data(fileOffset: UInt64)
    /// Zeros without data (`p_filesz` < `p_memsz`).
    case zeros
    /// The headers promise it, the source is cut before it.
    case cut
  }
  public var range: PhysicalRange
  public var kind: Kind
}

extension DumpSource {
  public func coverage() -> [Coverage] { Coverage.of(segments, present: shortfall?.present ?? .max) }
}

extension Coverage {
  /// The coverage of `segments` in a file of which `present` bytes are there. What stands in `hole` is zeros:
  /// a dump of ours says so in its header, and that is known where the file ends before the hole.
  static func of(_ segments: [MemorySegment], present: UInt64, hole: Range<UInt64> = 0..<0) -> [Coverage] {
    var result: [Coverage] = []
    var cursor: UInt64 = 0
    let order = segments.indices.sorted { (segments[$0].physical.start, $0) < (segments[$1].physical.start, $1) }
    for segment in order.lazy.map({ segments[$0] }) {
      // Every sum here was checked when the file was opened.
      let isKnown =
        segment.fileOffset >= hole.lowerBound && segment.fileOffset + segment.fileSize <= hole.upperBound
        && segment.fileOffset + segment.fileSize > present
      let data = segment.physical.start + (isKnown ? 0 : min(segment.fileSize, segment.physical.count))
      let readable = segment.fileOffset >= present ? 0 : min(segment.fileSize, present - segment.fileOffset)
      let cut = min(data, segment.physical.start + min(readable, segment.physical.count))
      let parts: [(UInt64, UInt64, Coverage.Kind)] = [
        (segment.physical.start, cut, .data(fileOffset: segment.fileOffset)), (cut, data, .cut),
        (data, segment.physical.end, .zeros),
      ]
      for (start, end, kind) in parts {
        let from = max(start, cursor)
        guard let range = PhysicalRange(from, end) else { continue }
        if case .data(let offset) = kind {
          result.append(Coverage(range: range, kind: .data(fileOffset: offset + (from - start))))
        } else {
          result.append(Coverage(range: range, kind: kind))
        }
        cursor = end
      }
    }
    return result
  }
}
