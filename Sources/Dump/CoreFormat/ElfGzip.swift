internal import CoreEncoding
internal import DumpBasics

/// `elf.gz`: each block is one BGZF member.
final class ElfGzipEncoder: GroupEncoder {
  private let compressor: BGZFCompressor
  let hasMembers = true

  init(_ effort: Effort) throws(DumpError) { compressor = try BGZFCompressor(effort) }

  func set(_ effort: Effort) { compressor.set(effort) }

  func encode(_ block: UnsafeRawBufferPointer, into output: EncodedGroup) {
    var checksum: UInt32 = 0
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
