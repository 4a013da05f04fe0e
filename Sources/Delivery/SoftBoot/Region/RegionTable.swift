internal import DumpBasics

/// The page of a unit that says what the unit belongs to and holds the checksums of its chunks. It stands
/// without a head. docs/region.md, "The table of a unit".
struct UnitTable {
  static let magic = Array("MCOREUNI".utf8)
  /// Entries begin here.
  static let headerSize = 128
  static let entrySize = 16
  static let size = 4096
  private static let checksumOffset = 12

  var unit: UInt64
  var dumpID: RegionID
  var identity: RegionIdentity

  init(unit: UInt64, dumpID: RegionID, identity: RegionIdentity) {
    self.unit = unit
    self.dumpID = dumpID
    self.identity = identity
  }

  /// A whole page, without any entry.
  func encoded() -> [UInt8] {
    var writer = ByteWriter(.little)
    writer.append(UnitTable.magic)
    writer.u16(RegionHead.majorVersion)
    writer.u16(0)
    writer.u32(0)  // checksum
    writer.u64(unit)
    writer.u64(UInt64(bitPattern: identity.crashTime))
    writer.append(identity.bootID.bytes)
    writer.append(identity.nonce.bytes)
    writer.append(dumpID.bytes)
    writer.u64(identity.geometry)
    writer.append(identity.fileName.utf8.prefix(UnitTable.headerSize - writer.count))
    writer.zeros(UnitTable.headerSize - writer.count)
    return writer.sealed(checksumAt: UnitTable.checksumOffset) + [UInt8](repeating: 0, count: UnitTable.size - writer.count)
  }

  /// Nil when these bytes do not begin with the header of a table of this version, whole and with the right
  /// checksum.
  init?(_ bytes: [UInt8]) {
    guard bytes.count >= UnitTable.headerSize, bytes.starts(with: UnitTable.magic) else { return nil }
    let header = Array(bytes[..<UnitTable.headerSize])
    let reader = ByteReader(header, .little)
    guard reader.u16(8) == RegionHead.majorVersion,
      reader.u32(UnitTable.checksumOffset) == CRC32C.ofStructure(header, checksumAt: UnitTable.checksumOffset),
      let unit = reader.u64(16), unit < RegionExtents.unitLimit, let time = reader.u64(24),
      let bootID = reader.slice(32, 16).flatMap({ RegionID($0) }), let nonce = reader.slice(48, 16).flatMap({ RegionID($0) }),
      let dumpID = reader.slice(64, 16).flatMap({ RegionID($0) }), let geometry = reader.u64(80),
      let fileName = reader.text(88, limit: 32)
    else { return nil }
    self.unit = unit
    self.dumpID = dumpID
    identity = RegionIdentity()
    identity.crashTime = Int64(bitPattern: time)
    identity.bootID = bootID
    identity.nonce = nonce
    identity.geometry = geometry
    identity.fileName = fileName
  }

  /// Where the entry of a chunk lies in its unit.
  static func entryOffset(_ chunk: Int) -> UInt64 {
    RegionLayout.tableOffset + UInt64(headerSize + chunk % RegionLayout.chunksPerUnit * entrySize)
  }
}

/// What a table says of one chunk. Its own checksum includes the dump's name, so that it stands without table
/// or head.
struct ChunkEntry: Equatable {
  var checksum: UInt32
  /// Bytes of the dump in the chunk: all that it holds, except in the last one.
  var length: UInt32

  init(checksum: UInt32, length: UInt32) {
    self.checksum = checksum
    self.length = length
  }

  func encoded(_ chunk: Int, _ dumpID: RegionID) -> [UInt8] {
    var writer = ByteWriter(.little)
    writer.u32(UInt32(truncatingIfNeeded: chunk))
    writer.u32(length)
    writer.u32(checksum)
    let own = CRC32C.of(dumpID.bytes + writer.bytes)
    writer.u32(own)
    return writer.bytes
  }

  /// The entry of `chunk` in a table's page; nil when there is none that is right.
  init?(_ table: [UInt8], _ chunk: Int, _ dumpID: RegionID) {
    let offset = UnitTable.headerSize + chunk % RegionLayout.chunksPerUnit * UnitTable.entrySize
    let reader = ByteReader(table, .little)
    guard let length = reader.u32(offset + 4), let checksum = reader.u32(offset + 8), length > 0,
      length <= UInt32(RegionLayout.chunkSize(chunk))
    else { return nil }
    self.init(checksum: checksum, length: length)
    guard reader.slice(offset, UnitTable.entrySize) == encoded(chunk, dumpID) else { return nil }
  }
}
