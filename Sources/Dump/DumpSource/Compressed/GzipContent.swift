#if Streams
  internal import CoreEncoding
  internal import DumpBasics
  internal import LinuxSystem
  internal import Synchronization

  /// A file that gzip compressed as a whole, read at any offset: from the place before it that is known.
  final class GzipContent: CompressedContent {
    private let file: File
    private let places: [GzipStream.Place]
    let size: UInt64
    let damage: DumpError?
    let isCorrupt: Bool
    let isEnded: Bool
    var ending: DumpEnding? { plainEnding() }
    let format = "gzip"
    let inflatedBlocks = InflatedBlocks(limit: 64)
    /// Small reads inflate so much, which is kept.
    private static let blockSize: UInt64 = 256 << 10
    /// Streams that ended a read, for one that goes on there.
    private let idle = Mutex<[Idle]>([])
    private static let idleLimit = 8
    var name: String { file.path }

    private struct Idle: @unchecked Sendable {
      // SAFETY: a cursor is either in the list, which the lock guards, or with the one thread that took it
      // out.
      let cursor: GzipCursor
    }

    init(_ file: consuming File, spacing: UInt64 = 1 << 20, limit: Int = GzipIndex.placeLimit) throws(DumpError) {
      let index = try GzipIndex(file, spacing: spacing, limit: limit)
      places = index.places
      size = index.size
      damage = index.damage
      isCorrupt = index.isCorrupt
      isEnded = index.damage == nil
      self.file = file
    }

    func inflate(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) -> Int {
      if buffer.count >= Int(GzipContent.blockSize) {
        unsafe try fill(buffer, from: offset)
        return buffer.count
      }
      let start = offset / GzipContent.blockSize * GzipContent.blockSize
      let block = unsafe try [UInt8].filled(Int(min(GzipContent.blockSize, size - start))) { (block) throws(DumpError) in
        unsafe try fill(block, from: start)
      }
      inflatedBlocks.remember(block, at: start)
      let skip = Int(offset - start)
      let count = min(buffer.count, block.count - skip)
      unsafe buffer.copyBytes(from: block[skip..<skip + count])
      return count
    }

    private func fill(_ buffer: UnsafeMutableRawBufferPointer, from offset: UInt64) throws(DumpError) {
      let index = places.partitionPoint { $0.content <= offset } - 1
      guard index >= 0 else { throw DumpError("no place for offset \(hex(offset))", at: name) }
      let place = places[index]
      // The nearest stream that stands behind the place and before the offset.
      let ready = idle.withLock { idle -> Idle? in
        let near = idle.indices.filter { (place.content...offset).contains(idle[$0].cursor.content) }
        return near.max { idle[$0].cursor.content < idle[$1].cursor.content }.map { idle.remove(at: $0) }
      }
      let cursor = if let ready { ready.cursor } else { try GzipCursor(file, at: place) }
      unsafe try cursor.read(file, at: offset, into: buffer)
      let back = Idle(cursor: cursor)
      idle.withLock { idle in
        if idle.count >= GzipContent.idleLimit { idle.removeFirst() }
        idle.append(back)
      }
    }
  }

  /// A stream that stands somewhere in a file and only goes forward.
  private final class GzipCursor {
    private let stream: GzipStream
    private(set) var content: UInt64
    private var compressed: UInt64
    private var input: [UInt8] = []
    private var taken = 0
    private static let inputSize = 128 << 10
    private static let skipSize = 64 << 10

    init(_ file: borrowing File, at place: GzipStream.Place) throws(DumpError) {
      var before: UInt8 = 0
      if place.bits > 0 {
        guard place.compressed > 0, let byte = try file.bytes(at: place.compressed - 1, count: 1).first else {
          throw DumpError("the file has changed since it was opened", at: file.path)
        }
        before = byte
      }
      stream = try GzipStream(at: place, before: before)
      content = place.content
      compressed = place.compressed
    }

    /// `offset` is not before the place where it stands.
    func read(
      _ file: borrowing File, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DumpError) {
      if content < offset {
        // What is in between is of no use.
        _ = unsafe try [UInt8].filled(GzipCursor.skipSize) { (scratch) throws(DumpError) in
          while content < offset {
            let count = Int(min(UInt64(scratch.count), offset - content))
            unsafe try fill(file, UnsafeMutableRawBufferPointer(rebasing: scratch[..<count]))
          }
        }
      }
      unsafe try fill(file, buffer)
    }

    private func fill(_ file: borrowing File, _ buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
      let path = file.path
      var done = 0
      var idleSteps = 0
      while done < buffer.count {
        if taken == input.count {
          input = try file.bytes(at: compressed, count: GzipCursor.inputSize)
          taken = 0
          compressed += UInt64(input.count)
          guard !input.isEmpty else { throw DumpError("the file ends early, at \(hex(content))", at: path) }
        }
        let room = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
        let place = compressed
        var step = GzipStream.Step()
        unsafe try input[taken...].lent { (rest) throws(DumpError) in
          do throws(DumpError) { step = unsafe try stream.step(rest, into: room) } catch {
            throw error.inside("\(path), before offset \(hex(place))")
          }
        }
        idleSteps = step.consumed + step.produced > 0 ? 0 : idleSteps + 1
        guard idleSteps < GzipIndex.idleLimit else { throw DumpError("damaged gzip: it leads nowhere", at: path) }
        taken += step.consumed
        done += step.produced
        content += UInt64(step.produced)
      }
    }
  }
#endif
