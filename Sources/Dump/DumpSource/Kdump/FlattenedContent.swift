#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// The format that makedumpfile -F writes, so that a file can go through a pipe: pieces of the real file,
  /// each with its offset there.
  enum Flattened {
    static let signature = Array("makedumpfile\0\0\0\0".utf8)
    /// The header takes a block of this size; the pieces follow.
    static let headerSize: UInt64 = 4096
    static let recordSize = 16
    /// makedumpfile writes 64 KiB at a time: so many pieces are a file of 512 GB.
    static let recordLimit = 8 << 20

    static func isFlattened(_ bytes: [UInt8]) -> Bool { bytes.starts(with: signature) }
  }

  /// The file within a flattened one, read at any offset. The pieces are walked once by their headers. What
  /// no piece holds is zeros; where two hold the same bytes, the later one counts.
  final class FlattenedContent: Content {
    /// Bytes of the real file from `start` on, which stand at `place` of the flattened one.
    private struct Piece {
      var start: UInt64
      var count: UInt64
      var place: UInt64
      var end: UInt64 { start + count }
    }

    private let outer: any Content
    /// By `start`, disjoint.
    private let pieces: [Piece]
    let size: UInt64
    let damage: DumpError?
    let isCorrupt: Bool
    let isEnded: Bool
    let format = "flattened"
    var name: String { outer.name }

    init(_ outer: any Content) throws(DumpError) {
      self.outer = outer
      let walk = try FlattenedContent.walk(outer)
      guard !walk.pieces.isEmpty else {
        throw walk.damage ?? DumpError("a flattened file without any content", at: outer.name, advice: "this is no dump")
      }
      pieces = FlattenedContent.settled(walk.pieces)
      size = walk.pieces.map(\.end).max() ?? 0
      damage = walk.damage
      isCorrupt = walk.isCorrupt
      isEnded = walk.damage == nil
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
      let (end, overflow) = offset.addingReportingOverflow(UInt64(buffer.count))
      guard !overflow, end <= size else { throw damage ?? DumpError("reading past the end, at \(hex(offset))", at: name) }
      var done = 0
      var index = pieces.partitionPoint { $0.end <= offset }
      while done < buffer.count {
        let here = offset + UInt64(done)
        let rest = UInt64(buffer.count - done)
        if index < pieces.count, pieces[index].start <= here {
          let piece = pieces[index]
          let count = Int(min(rest, piece.end - here))
          unsafe try outer.read(
            at: piece.place + (here - piece.start), into: UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count]))
          done += count
          index += 1
        } else {
          let count = Int(min(rest, (index < pieces.count ? pieces[index].start : end) - here))
          unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
            .initializeMemory(as: UInt8.self, repeating: 0)
          done += count
        }
      }
    }

    private struct Walk {
      /// In the order of the file.
      var pieces: [Piece] = []
      var damage: DumpError?
      var isCorrupt = false
    }

    private static func walk(_ outer: any Content) throws(DumpError) -> Walk {
      var walk = Walk()
      var position = Flattened.headerSize
      while true {
        let place = "\(outer.name), offset \(hex(position))"
        guard outer.size >= position, outer.size - position >= UInt64(Flattened.recordSize) else {
          walk.damage = DumpError("the flattened file is cut", at: place)
          return walk
        }
        let reader = ByteReader(try outer.bytes(at: position, count: Flattened.recordSize), .big)
        let (start, count) = (reader.u64(0) ?? 0, reader.u64(8) ?? 0)
        if start == .max { return walk }
        position += UInt64(Flattened.recordSize)
        guard start <= UInt64(Int64.max), count <= UInt64(Int64.max) - start else {
          walk.isCorrupt = true
          walk.damage = DumpError("a piece of \(hex(count)) bytes at \(hex(start))", at: place, advice: "the file is damaged")
          return walk
        }
        let present = min(count, outer.size - position)
        if present > 0 { walk.pieces.append(Piece(start: start, count: present, place: position)) }
        guard present == count else {
          walk.damage = DumpError("the flattened file is cut in a piece of \(count) bytes", at: place)
          return walk
        }
        guard walk.pieces.count <= Flattened.recordLimit else {
          throw DumpError(
            .unsupported, "more than \(Flattened.recordLimit) pieces", at: outer.name,
            advice: "makedumpfile -R makes a file of it that needs no index")
        }
        position += count
      }
    }

    /// By offset and disjoint, what was written later in the place of what was written earlier.
    private static func settled(_ written: [Piece]) -> [Piece] {
      let borders = written.flatMap { [$0.start, $0.end] }.sorted()
      var places = borders.isEmpty ? [] : [borders[0]]
      for border in borders where border != places[places.count - 1] { places.append(border) }
      // Each stretch between two borders belongs to the last piece that covers it. `next` leads past those
      // that have their piece already.
      var owner = [Int32](repeating: -1, count: places.count)
      var next = Array(0..<places.count)
      func free(_ index: Int) -> Int {
        var root = index
        while next[root] != root { root = next[root] }
        var cursor = index
        while next[cursor] != root { (cursor, next[cursor]) = (next[cursor], root) }
        return root
      }
      for index in written.indices.reversed() {
        var stretch = free(places.partitionPoint { $0 < written[index].start })
        while places[stretch] < written[index].end {
          owner[stretch] = Int32(truncatingIfNeeded: index)
          next[stretch] = stretch + 1
          stretch = free(stretch + 1)
        }
      }
      var pieces: [Piece] = []
      for stretch in places.indices.dropLast() where owner[stretch] >= 0 {
        let piece = written[Int(owner[stretch])]
        let place = piece.place + (places[stretch] - piece.start)
        if let last = pieces.last, last.end == places[stretch], last.place + last.count == place {
          pieces[pieces.count - 1].count += places[stretch + 1] - places[stretch]
        } else {
          pieces.append(Piece(start: places[stretch], count: places[stretch + 1] - places[stretch], place: place))
        }
      }
      return pieces
    }
  }
#endif
