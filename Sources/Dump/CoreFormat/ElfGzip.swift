internal import CoreEncoding
internal import DumpBasics

/// `elf.gz`: each block is one BGZF member.
final class ElfGzipEncoder: GroupEncoder {
  private let compressor: BGZFCompressor
  let hasMembers = true
  private let pace: CodecPace

  init(_ pace: CodecPace) throws(DumpError) {
    self.pace = pace
    compressor = try BGZFCompressor(pace.effort)
  }

  func encode(_ block: UnsafeRawBufferPointer, into output: EncodedGroup) {
    var checksum: UInt32 = 0
    if pace.isAdaptive { compressor.set(pace.effort) }
    unsafe output.append { memory in
      let member =
        unsafe block.count == BGZF.blockSize && isZero(block)
        ? compressor.zeroMember(into: memory) : compressor.member(block, into: memory)
      checksum = member.crc
      return member.count
    }
    output.addContent(block.count, checksum)
  }

  func encodeFooter(_ footer: [UInt8]) -> [UInt8] { BGZF.storedMember(footer) + BGZF.endOfFile }
}
