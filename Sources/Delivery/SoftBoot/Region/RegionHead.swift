internal import DumpBasics

/// How far a region is.
public enum RegionState: UInt32, Sendable {
  /// Being written, or no more: `RegionHead.isCut` tells.
  case writing = 1
  /// All of the dump is there.
  case complete = 2
  /// The dump is on its target; what is here may go.
  case saved = 3
}

/// The directory's head: 4 KiB that say all about a region. docs/region.md, "The head".
public struct RegionHead: Sendable, Equatable {
  static let magic = Array("MCOREREG".utf8)
  static let majorVersion: UInt16 = 1
  private static let checksumOffset = 12

  /// Counts the heads that were written, from 1; the higher one is right.
  public var generation: UInt64 = 0
  public var state = RegionState.writing
  /// Whether the dump was given up before its end: the region was too small, or the source failed.
  public var isCut = false
  /// How often somebody began to save it.
  public var attempts: UInt32 = 0
  /// Bytes of the dump that were there when the head was written: all of them once it is complete.
  public var length: UInt64 = 0
  /// Names this dump alone, so that nothing is taken for its that an earlier one left.
  public var dumpID = RegionID.none
  /// CRC-32C of the CRC-32C of all chunks, once it is complete.
  public var seal: UInt32 = 0
  public var identity = RegionIdentity()
  public var extents: RegionExtents

  init(_ extents: RegionExtents) { self.extents = extents }

  func encoded() -> [UInt8] {
    var writer = ByteWriter(.little)
    writer.append(RegionHead.magic)
    writer.u16(RegionHead.majorVersion)
    writer.u16(0)
    writer.u32(0)  // checksum
    writer.u64(generation)
    writer.u32(state.rawValue)
    writer.u32(isCut ? 1 : 0)
    writer.u64(length)
    writer.u64(UInt64(bitPattern: identity.crashTime))
    writer.append(identity.bootID.bytes)
    writer.append(identity.nonce.bytes)
    writer.append(dumpID.bytes)
    writer.u64(identity.geometry)
    writer.u32(attempts)
    writer.u32(seal)
    writer.u64(RegionLayout.unitSize)
    writer.u32(UInt32(RegionLayout.chunkSize))
    writer.u32(UInt32(extents.ranges.count))
    for range in extents.ranges {
      writer.u64(range.start)
      writer.u64(range.count)
    }
    writer.zeros(256 - writer.count)
    writer.append(field(identity.release, 64))
    writer.append(field(identity.fileName, 32))
    writer.zeros(RegionLayout.headSize - writer.count)
    return writer.sealed(checksumAt: RegionHead.checksumOffset)
  }

  /// Cut to `size`, with zeros behind it.
  private func field(_ text: String, _ size: Int) -> [UInt8] {
    let bytes = Array(text.utf8.prefix(size))
    return bytes + [UInt8](repeating: 0, count: size - bytes.count)
  }

  /// Nil where there is no head; throws for one that is damaged (`.input`) or of another version
  /// (`.unsupported`).
  init?(_ bytes: [UInt8], at place: @autoclosure () -> String) throws(DumpError) {
    guard bytes.starts(with: RegionHead.magic) else { return nil }
    let reader = ByteReader(bytes, .little)
    guard bytes.count == RegionLayout.headSize,
      reader.u32(RegionHead.checksumOffset)
        == CRC32C.ofStructure(bytes, checksumAt: RegionHead.checksumOffset)
    else { throw DumpError("a region's head is damaged", at: place()) }
    guard let major = reader.u16(8), major == RegionHead.majorVersion else {
      throw DumpError(
        .unsupported, "a region has format version \(reader.u16(8) ?? 0), this mcore reads \(RegionHead.majorVersion)",
        at: place(), advice: "use the version of mcore that wrote it")
    }
    // The checksum is right: what follows was written so, but not necessarily by us.
    guard let generation = reader.u64(16), let state = reader.u32(24).flatMap({ RegionState(rawValue: $0) }),
      let flags = reader.u32(28), let length = reader.u64(32), let time = reader.u64(40),
      let bootID = reader.slice(48, 16).flatMap({ RegionID($0) }), let nonce = reader.slice(64, 16).flatMap({ RegionID($0) }),
      let dumpID = reader.slice(80, 16).flatMap({ RegionID($0) }), let geometry = reader.u64(96),
      let attempts = reader.u32(104), let seal = reader.u32(108), reader.u64(112) == RegionLayout.unitSize,
      reader.u32(120) == UInt32(RegionLayout.chunkSize), let count = reader.u32(124),
      let release = reader.text(256, limit: 64), let fileName = reader.text(320, limit: 32)
    else { throw DumpError("a region's head makes no sense", at: place()) }
    var ranges: [PhysicalRange] = []
    for index in 0..<min(Int(count), RegionExtents.limit + 1) {
      guard let start = reader.u64(128 + 16 * index), let size = reader.u64(136 + 16 * index),
        let range = PhysicalRange(start: start, count: size)
      else { throw DumpError("extent \(index) of a region makes no sense", at: place()) }
      ranges.append(range)
    }
    do throws(DumpError) { extents = try RegionExtents(ranges) } catch { throw error.inside(place()) }
    guard length <= extents.capacity else {
      throw DumpError("a region of \(extents.capacity) bytes can't hold \(length)", at: place())
    }
    self.generation = generation
    self.state = state
    self.length = length
    self.dumpID = dumpID
    self.attempts = attempts
    self.seal = seal
    isCut = flags & 1 != 0
    identity.bootID = bootID
    identity.nonce = nonce
    identity.geometry = geometry
    identity.crashTime = Int64(bitPattern: time)
    identity.release = release
    identity.fileName = fileName
  }
}
