#if Zstd
  internal import CoreEncoding
  internal import DumpBasics

  /// `elf.zst`: each group is one zstd frame; a seek table ends the file.
  final class ElfZstdEncoder: GroupEncoder {
    private let compressor: ZstdCompressor
    let hasMembers = true
    let unitSize = DumpTrailer.groupSize
    /// A whole group of zeros, compressed once.
    private let zeroFrame: [UInt8]
    private let zeroChecksum: UInt32
    private var frames: [ZstdSeekTable.Entry] = []

    init(_ effort: Effort, changes: Bool) throws(DumpError) {
      // The largest tables first: what is made with them needs no more memory for any other effort.
      let compressor = try ZstdCompressor(changes ? .smallest : effort)
      self.compressor = compressor
      let zeros = [UInt8](repeating: 0, count: DumpTrailer.groupSize)
      var frame = [UInt8](repeating: 0, count: ZstdCompressor.bound(zeros.count))
      let count = unsafe zeros.withUnsafeBytes { zeros in
        unsafe frame.withUnsafeMutableBytes { unsafe compressor.frame(zeros, into: $0) }
      }
      guard let count else { throw DumpError(.system(12), "no memory for a zstd compressor") }
      zeroFrame = Array(frame[0..<count])
      zeroChecksum = CRC32.of(zeros)
    }

    func encode(_ group: UnsafeRawBufferPointer, into output: EncodedGroup) {
      if group.count == DumpTrailer.groupSize, unsafe isZero(group) {
        output.addContent(group.count, zeroChecksum)
        unsafe output.append { memory in
          unsafe memory.copyBytes(from: zeroFrame)
          return zeroFrame.count
        }
      } else {
        output.addContent(group.count, unsafe CRC32.of(group))
        unsafe output.append { memory in
          // `init` made one of the largest size: nothing is left that can fail.
          guard let count = unsafe compressor.frame(group, into: memory) else { preconditionFailure("zstd does not compress") }
          return count
        }
      }
    }

    func set(_ effort: Effort) { compressor.set(effort) }

    func wrote(_ group: EncodedGroup) {
      frames.append(.init(compressed: UInt32(group.count), content: UInt32(group.contentCount)))
    }

    func encodeFooter(_ footer: [UInt8]) -> [UInt8] {
      let frame = ZstdFrame.stored(footer)
      frames.append(.init(compressed: UInt32(frame.count), content: UInt32(footer.count)))
      return frame + ZstdSeekTable(frames).encoded()
    }
  }
#endif
