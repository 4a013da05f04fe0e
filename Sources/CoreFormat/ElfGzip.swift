internal import CoreEncoding
internal import DumpBasics

/// `elf.gz`: each block is one BGZF member.
final class ElfGzipEncoder: GroupEncoder {
  private let compressor: BGZFCompressor
  let hasMembers = true

  init() throws(DumpError) { compressor = try BGZFCompressor() }

  func encode(_ group: UnsafeRawBufferPointer, into output: EncodedGroup) {
    output.reset()
    var offset = 0
    while offset < group.count {
      let end = min(group.count, offset + BGZF.blockSize)
      let block = unsafe UnsafeRawBufferPointer(rebasing: group[offset..<end])
      var checksum: UInt32 = 0
      unsafe output.append { memory in
        let member =
          unsafe block.count == BGZF.blockSize && isZero(block)
          ? compressor.zeroMember(into: memory) : compressor.member(block, into: memory)
        checksum = member.crc
        return member.count
      }
      output.checksum =
        offset == 0 ? checksum : CRC32.combined(output.checksum, checksum, count: block.count)
      offset = end
    }
  }

  func encodeFooter(_ footer: [UInt8]) -> [UInt8] { BGZF.storedMember(footer) + BGZF.endOfFile }
}
