#if Kdump
  internal import DumpBasics

  /// What stands behind the pages of a kdump-compressed file of ours: a checksum of all before the
  /// descriptors, which is headers, notes and both bitmaps. Descriptors and pages have marks
  /// (`KdumpPageMark`). No reader looks behind the last page.
  ///
  /// | bytes | what |
  /// |---|---|
  /// | 0 … 7 | `mcore:kd` |
  /// | 8 … 15 | bytes that are covered, from the start of the file, little-endian |
  /// | 16 … 19 | `KdumpHeadChecksum` of those |
  /// | 20 … 23 | CRC-32 of the 20 bytes before |
  public struct KdumpEnding: Sendable, Equatable {
    public static let size = 24
    private static let magic = Array("mcore:kd".utf8)

    public var covered: UInt64
    public var checksum: UInt32

    public init(covered: UInt64, checksum: UInt32) {
      self.covered = covered
      self.checksum = checksum
    }

    /// Nil where `bytes`, the last ones of a file, are something else.
    public init?(_ bytes: [UInt8]) {
      let reader = ByteReader(bytes, .little)
      guard bytes.count == KdumpEnding.size, bytes.starts(with: KdumpEnding.magic), let covered = reader.u64(8),
        let checksum = reader.u32(16), reader.u32(20) == CRC32.of(bytes[..<20])
      else { return nil }
      self.init(covered: covered, checksum: checksum)
    }

    public func encoded() -> [UInt8] {
      var writer = ByteWriter(.little, capacity: KdumpEnding.size)
      writer.append(KdumpEnding.magic)
      writer.u64(covered)
      writer.u32(checksum)
      writer.u32(CRC32.of(writer.bytes))
      return writer.bytes
    }
  }

  /// The checksum of the start of a file, made as it is written or read: CRC-32 of each block of 4 KiB that
  /// is not all zeros, its number before it (8 bytes, little-endian). Bitmaps of machines with memory at high
  /// addresses have terabytes of zeros, which cost nothing so.
  public struct KdumpHeadChecksum: Sendable {
    public static let blockSize = 4096
    private var block: UInt64 = 0
    private var pending: [UInt8] = []
    private var value: UInt32 = 0

    public init() { pending.reserveCapacity(KdumpHeadChecksum.blockSize) }

    /// The next bytes of the file.
    public mutating func add(_ bytes: ArraySlice<UInt8>) {
      var rest = bytes
      while !rest.isEmpty {
        let part = rest.prefix(KdumpHeadChecksum.blockSize - pending.count)
        pending += part
        rest = rest.dropFirst(part.count)
        if pending.count == KdumpHeadChecksum.blockSize { endBlock() }
      }
    }

    /// The next `count` bytes are zeros.
    public mutating func skip(_ count: UInt64) {
      let size = UInt64(KdumpHeadChecksum.blockSize)
      var left = count
      if !pending.isEmpty {
        let part = min(left, size - UInt64(pending.count))
        pending += [UInt8](repeating: 0, count: Int(part))
        left -= part
        if pending.count == KdumpHeadChecksum.blockSize { endBlock() }
      }
      block &+= left / size
      pending += [UInt8](repeating: 0, count: Int(left % size))
    }

    /// Of all so far. A last block that is not whole counts as if zeros followed.
    public func finished() -> UInt32 {
      var last = self
      last.skip(UInt64(KdumpHeadChecksum.blockSize - pending.count))
      return last.value
    }

    private mutating func endBlock() {
      if pending.contains(where: { $0 != 0 }) {
        var number = ByteWriter(.little, capacity: 8)
        number.u64(block)
        let seed = unsafe number.bytes.withUnsafeBytes { unsafe CRC32.of($0, from: value) }
        value = unsafe pending.withUnsafeBytes { unsafe CRC32.of($0, from: seed) }
      }
      block &+= 1
      pending.removeAll(keepingCapacity: true)
    }
  }
#endif
