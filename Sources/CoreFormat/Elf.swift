internal import CoreEncoding
internal import DumpBasics

/// `elf`: the file as it is, zeros as holes where the target can have them.
final class ElfEncoder: GroupEncoder {
  let hasMembers = false
  /// Holes are made in units of this size: the block size of nearly every file system.
  private static let unit = 4096

  func encode(_ group: UnsafeRawBufferPointer, into output: EncodedGroup) {
    output.reset()
    output.checksum = unsafe CRC32.of(group)
    var offset = 0
    while offset < group.count {
      let end = min(group.count, offset + ElfEncoder.unit)
      let piece = unsafe UnsafeRawBufferPointer(rebasing: group[offset..<end])
      if unsafe isZero(piece) {
        output.appendZeros(piece.count)
      } else {
        unsafe output.append { memory in
          unsafe memory.copyMemory(from: piece)
          return piece.count
        }
      }
      offset = end
    }
  }

  func encodeFooter(_ footer: [UInt8]) -> [UInt8] { footer }
}
