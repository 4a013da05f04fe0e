#if Zstd
  internal import CoreEncoding
  internal import DumpBasics
  internal import LinuxSystem
  internal import Synchronization

  /// A file of independent zstd frames, read at any offset. A seek table at its end leads to them (the zstd
  /// seekable format, which `elf.zst` is); where it is cut off or was never there, the frames are walked once
  /// by their headers.
  final class ZstdContent: CompressedContent {
    /// A frame, and where its content begins in the uncompressed file.
    struct Frame {
      var start: UInt64
      var compressed: UInt64
      var compressedSize: UInt32
      var size: UInt32
    }

    /// A frame is inflated as a whole, into memory: larger ones are refused. Ours have 960 KiB.
    static let largestFrame: UInt64 = 16 << 20

    private let file: File
    private let frames: [Frame]
    let size: UInt64
    let damage: DumpError?
    let isCorrupt: Bool
    let isEnded: Bool
    let ending: DumpEnding?
    let bytesBehind: UInt64
    let format = "elf.zst"
    let inflatedBlocks = InflatedBlocks(limit: 6)
    private let inflaters = IdlePool<ZstdInflater>()
    var name: String { file.path }

    init(_ file: consuming File) throws(DumpError) {
      let fileSize = try file.size()
      var table = try ZstdIndex.bySeekTable(file, fileSize)
      var index = if let table { table } else { try ZstdIndex.byWalking(file, fileSize) }
      var behind: UInt64 = 0
      if table == nil, index.damage != nil, let end = index.endOfTable, let earlier = try ZstdIndex.bySeekTable(file, end) {
        behind = fileSize - end
        table = earlier
        index = earlier
      }
      bytesBehind = behind
      frames = index.frames
      size = frames.last.map { $0.start + UInt64($0.size) } ?? 0
      ending = try ZstdContent.ending(file, frames)
      isCorrupt = index.isCorrupt
      // Without a table there is nothing to tell a cut between frames from an end by.
      isEnded = index.damage == nil && table != nil
      // With all frames there and only the seek table gone nothing is missing, but the file is not what was
      // written.
      damage =
        index.damage
        ?? (table == nil && ending != nil
          ? DumpError("the seek table at the end is missing", at: file.path, advice: "the dump itself is all there") : nil)
      self.file = file
    }

    func inflate(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) -> Int {
      // Empty frames are not in the list, so the frame found holds the offset.
      let index = frames.partitionPoint { $0.start <= offset } - 1
      guard frames.indices.contains(index) else { throw DumpError("no frame for offset \(hex(offset))", at: name) }
      let frame = frames[index]
      return try inflaters.lend { () throws(DumpError) in
        try ZstdInflater()
      } _: { (inflater) throws(DumpError) in
        unsafe try inflate(frame, inflater, at: offset, into: buffer)
      }
    }

    private func inflate(
      _ frame: Frame, _ inflater: ZstdInflater, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DumpError) -> Int {
      if offset == frame.start, buffer.count >= Int(frame.size) {
        let whole = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[0..<Int(frame.size)])
        unsafe try ZstdContent.inflate(frame, file, inflater, into: whole)
        return whole.count
      }
      let bytes = try ZstdContent.bytes(frame, file, inflater)
      inflatedBlocks.remember(bytes, at: frame.start)
      let skip = Int(offset - frame.start)
      let count = min(buffer.count, bytes.count - skip)
      unsafe buffer.copyBytes(from: bytes[skip..<skip + count])
      return count
    }

    private static func inflate(
      _ frame: Frame, _ file: borrowing File, _ inflater: ZstdInflater, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DumpError) {
      let compressed = try file.bytes(at: frame.compressed, count: Int(frame.compressedSize))
      var failure: DumpError?
      let path = file.path
      unsafe compressed.withUnsafeBytes { compressed in
        do throws(DumpError) {
          unsafe try inflater.inflate(compressed, into: buffer, at: "\(path), offset \(hex(frame.compressed))")
        } catch {
          failure = error
        }
      }
      if let failure { throw failure }
    }

    private static func bytes(
      _ frame: Frame, _ file: borrowing File, _ inflater: ZstdInflater
    ) throws(DumpError) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: Int(frame.size))
      var failure: DumpError?
      unsafe bytes.withUnsafeMutableBytes { buffer in
        do throws(DumpError) { unsafe try inflate(frame, file, inflater, into: buffer) } catch { failure = error }
      }
      if let failure { throw failure }
      return bytes
    }

    /// Footer and trailer, if the last frame is a footer of ours and all it says fits. A damaged trailer is
    /// like none.
    private static func ending(_ file: borrowing File, _ frames: [Frame]) throws(DumpError) -> DumpEnding? {
      guard let last = frames.last, Int(last.size) == DumpFooter.size,
        Int(last.compressedSize) == ZstdFrame.storedSize(DumpFooter.size)
      else { return nil }
      let stored = try file.bytes(at: last.compressed, count: Int(last.compressedSize))
      guard let footer = DumpFooter(Array(stored.suffix(DumpFooter.size))),
        ZstdFrame.stored(footer.encoded()) == stored, footer.fileSize == last.start + UInt64(last.size),
        footer.trailerOffset <= last.start, footer.trailerSize == last.start - footer.trailerOffset
      else { return nil }
      let first = frames.partitionPoint { $0.start < footer.trailerOffset }
      // The trailer's frames have at most 16 MiB each, and are as many as the file has room for.
      guard frames.indices.contains(first), frames[first].start == footer.trailerOffset,
        frames[first].compressed == footer.compressedTrailerOffset, footer.trailerSize <= 1 << 31
      else { return nil }
      do throws(DumpError) {
        let inflater = try ZstdInflater()
        var content: [UInt8] = []
        for frame in frames[first..<frames.count - 1] { content += try bytes(frame, file, inflater) }
        let trailer = try DumpTrailer(content, at: "\(file.path), trailer")
        guard UInt64(trailer.groupChecksums.count) == DumpTrailer.groups(in: footer.trailerOffset) else { return nil }
        return DumpEnding(footer: footer, trailer: trailer)
      } catch {
        return nil
      }
    }
  }
#endif
