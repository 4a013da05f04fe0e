public import DumpBasics

/// The blocked gzip format: gzip members of at most 64 KiB, each with its own size in a `BC` extra field
/// (SAM specification 4.1, "The BGZF compression format").
public enum BGZF {
  /// Uncompressed bytes of every block but the last ones: 15 pages of 4 KiB. 64 KiB of noise would not fit a
  /// member.
  public static let blockSize = 15 * 4096
  /// Bytes before the deflate data of a member.
  public static let headerSize = 18
  /// CRC-32 and size after it.
  public static let trailerSize = 8
  /// A member's size field has 16 bits and counts from 1.
  public static let maximumMember = 65536

  /// The empty member that marks the end of a whole file.
  public static let endOfFile: [UInt8] = [
    0x1f, 0x8b, 0x08, 0x04, 0, 0, 0, 0, 0, 0xff, 0x06, 0, 0x42, 0x43, 0x02, 0, 0x1b, 0, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  ]

  /// The 18 bytes before the data of a member of `size` bytes in all (29 to 65,536).
  static func header(memberSize: Int) -> [UInt8] {
    let field = UInt16(memberSize - 1)
    return Array(endOfFile[0..<16]) + [UInt8(truncatingIfNeeded: field), UInt8(truncatingIfNeeded: field >> 8)]
  }

  /// The size of the member whose first 18 bytes these are, or nil when they are no BGZF header. Only the one
  /// extra field `BC` is accepted: every BGZF writer makes just that.
  public static func memberSize(_ header: [UInt8]) -> Int? {
    guard header.count >= headerSize, Array(header[0..<4]) == [0x1f, 0x8b, 0x08, 0x04],
      Array(header[10..<16]) == [6, 0, 0x42, 0x43, 2, 0]
    else { return nil }
    let size = Int(header[16]) + Int(header[17]) << 8 + 1
    return size >= headerSize + trailerSize + 2 ? size : nil
  }

  /// Whether a file that begins so is gzip of any kind.
  public static func isGzip(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x1f, 0x8b]) }

  /// A member with `bytes` stored, not compressed: its size is known before its content (the footer of a
  /// dump).
  public static func storedMember(_ bytes: [UInt8]) -> [UInt8] {
    let length = UInt16(bytes.count)
    var writer = ByteWriter(.little)
    writer.append(header(memberSize: storedMemberSize(bytes.count)))
    // RFC 1951, 3.2.4: final block, stored; length and its complement.
    writer.u8(1)
    writer.u16(length)
    writer.u16(~length)
    writer.append(bytes)
    writer.u32(CRC32.of(bytes))
    writer.u32(UInt32(length))
    return writer.bytes
  }

  public static func storedMemberSize(_ count: Int) -> Int { headerSize + 5 + count + trailerSize }

  /// Why a member can't be inflated.
  static func damaged(_ what: String, _ place: String) -> DumpError {
    DumpError("damaged block: \(what)", at: place, advice: "what other blocks hold can still be read")
  }
}

/// Makes BGZF members. One object belongs to one thread at a time.
public final class BGZFCompressor {
  private let compressor: BlockCompressor
  /// A whole block of zeros, compressed once: most of an idle machine's memory.
  private let zeroBlock: [UInt8]

  public init(_ effort: Effort = .balanced) throws(DumpError) {
    let compressor = try BlockCompressor(effort)
    self.compressor = compressor
    var zeros = [UInt8](repeating: 0, count: BGZF.maximumMember)
    let input = [UInt8](repeating: 0, count: BGZF.blockSize)
    let count = unsafe input.withUnsafeBytes { input in
      unsafe zeros.withUnsafeMutableBytes { unsafe BGZFCompressor.member(input, compressor, into: $0).count }
    }
    zeroBlock = Array(zeros[0..<count])
  }

  /// Writes one member for `input` (at most `BGZF.blockSize` bytes) to `output` (at least
  /// `BGZF.maximumMember`). Returns its size and the CRC-32 of the input.
  public func member(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) -> (count: Int, crc: UInt32) {
    unsafe BGZFCompressor.member(input, compressor, into: output)
  }

  /// For the members that come, where the library can change it.
  public func set(_ effort: Effort) { compressor.set(effort) }

  /// The member for `BGZF.blockSize` zeros.
  public func zeroMember(into output: UnsafeMutableRawBufferPointer) -> (count: Int, crc: UInt32) {
    unsafe output.copyBytes(from: zeroBlock)
    let end = zeroBlock.count
    let crc = zeroBlock[end - 8..<end - 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    return (end, crc)
  }

  private static func member(
    _ input: UnsafeRawBufferPointer, _ compressor: BlockCompressor, into output: UnsafeMutableRawBufferPointer
  ) -> (count: Int, crc: UInt32) {
    precondition(input.count <= BGZF.blockSize && output.count >= BGZF.maximumMember)
    let room = BGZF.maximumMember - BGZF.headerSize - BGZF.trailerSize
    let data = unsafe UnsafeMutableRawBufferPointer(rebasing: output[BGZF.headerSize..<BGZF.headerSize + room])
    let crc = unsafe CRC32.of(input)
    // What does not get smaller is stored: at most 5 bytes more than the input.
    let size = unsafe compressor.compress(input, into: data).flatMap { $0 < input.count + 5 ? $0 : nil } ?? store(input, data)
    let total = BGZF.headerSize + size + BGZF.trailerSize
    unsafe output.copyBytes(from: BGZF.header(memberSize: total))
    unsafe output.storeBytes(of: crc.littleEndian, toByteOffset: BGZF.headerSize + size, as: UInt32.self)
    unsafe output.storeBytes(of: UInt32(input.count).littleEndian, toByteOffset: BGZF.headerSize + size + 4, as: UInt32.self)
    return (total, crc)
  }

  private static func store(_ input: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer) -> Int {
    let length = UInt16(input.count)
    unsafe output[0] = 1
    unsafe output.storeBytes(of: length.littleEndian, toByteOffset: 1, as: UInt16.self)
    unsafe output.storeBytes(of: (~length).littleEndian, toByteOffset: 3, as: UInt16.self)
    unsafe UnsafeMutableRawBufferPointer(rebasing: output[5...]).copyMemory(from: input)
    return 5 + input.count
  }
}

/// Takes BGZF members apart. One object belongs to one thread at a time.
public final class BGZFInflater {
  private let inflater: BlockInflater
  public init() throws(DumpError) { inflater = try BlockInflater() }

  /// The uncompressed size that a whole member states (0 to 65,536).
  public static func contentSize(_ member: UnsafeRawBufferPointer) -> Int? {
    guard member.count >= BGZF.headerSize + BGZF.trailerSize else { return nil }
    let size = Int(unsafe UInt32(littleEndian: member.loadUnaligned(fromByteOffset: member.count - 4, as: UInt32.self)))
    return size <= BGZF.maximumMember ? size : nil
  }

  /// One whole member's content.
  public func content(of member: ArraySlice<UInt8>, at place: @autoclosure () -> String) throws(DumpError) -> [UInt8] {
    var output: [UInt8] = []
    unsafe try member.lent { (member) throws(DumpError) in
      let size = unsafe BGZFInflater.contentSize(member) ?? 0
      output = unsafe try [UInt8].filled(size) { (buffer) throws(DumpError) in
        unsafe try inflate(member, into: buffer, at: place())
      }
    }
    return output
  }

  /// Inflates a whole member into exactly `output.count` bytes and checks its CRC. `place` is for errors.
  public func inflate(
    _ member: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, at place: @autoclosure () -> String
  ) throws(DumpError) {
    guard unsafe BGZFInflater.contentSize(member) == output.count else {
      throw BGZF.damaged("its size is not \(output.count)", place())
    }
    let data = unsafe UnsafeRawBufferPointer(rebasing: member[BGZF.headerSize..<member.count - BGZF.trailerSize])
    guard unsafe inflater.inflate(data, into: output) else { throw BGZF.damaged("it does not inflate", place()) }
    let stated = unsafe UInt32(littleEndian: member.loadUnaligned(fromByteOffset: member.count - 8, as: UInt32.self))
    let found = unsafe CRC32.of(UnsafeRawBufferPointer(output))
    guard stated == found else {
      throw BGZF.damaged("checksum is \(hex(UInt64(found))), stated \(hex(UInt64(stated)))", place())
    }
  }
}
