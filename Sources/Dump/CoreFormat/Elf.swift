internal import CoreEncoding
internal import DumpBasics

/// `elf`: the file as it is, zeros as holes where the target can have them.
final class ElfEncoder: GroupEncoder {
  let hasMembers = false
  /// Holes are made in units of this size: the block size of nearly every file system.
  private static let holeUnit = 4096

  func encode(_ unit: UnsafeRawBufferPointer, into output: EncodedGroup) {
    output.addContent(unit.count, unsafe CRC32.of(unit))
    var offset = 0
    while offset < unit.count {
      let end = min(unit.count, offset + ElfEncoder.holeUnit)
      let piece = unsafe UnsafeRawBufferPointer(rebasing: unit[offset..<end])
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
