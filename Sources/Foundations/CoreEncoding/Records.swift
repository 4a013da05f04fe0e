public import DumpBasics

/// The envelope of every structure of mcore's own (note, trailer): a header that tells version and machine,
/// then records. docs/format.md, "Envelope".
///
///      0  magic, 8 bytes            16  number of records, u32
///      8  major version, u16        20  CRC-32 of the records, u32
///     10  minor version, u16        24  bytes of the records, u64
///     12  byte order, u8 (1 little) 32  records: type u32, 0 u32, bytes u64, payload, zeros to 8 bytes
///     13  log2 of the page size, u8
///     14  ELF machine, u16
///
/// A reader skips record types it does not know; it refuses another major version.
public struct Envelope: Sendable, Equatable {
  public static let headerSize = 32
  public static let majorVersion: UInt16 = 1
  public static let minorVersion: UInt16 = 0

  public var magic: String
  public var architecture: Architecture
  public var pageSize: PageSize
  public var records: [Record]

  public struct Record: Sendable, Equatable {
    public var type: UInt32
    public var payload: [UInt8]
    public init(_ type: UInt32, _ payload: [UInt8]) {
      self.type = type
      self.payload = payload
    }
  }

  public init(magic: String, _ architecture: Architecture, _ pageSize: PageSize, _ records: [Record] = []) {
    self.magic = magic
    self.architecture = architecture
    self.pageSize = pageSize
    self.records = records
  }

  /// Bytes of what `encoded` gives.
  public var encodedSize: Int { records.reduce(Envelope.headerSize) { $0 + 16 + ($1.payload.count + 7) / 8 * 8 } }

  /// In one array of its final size: a note can be megabytes, and a crash kernel has little room for copies.
  public func encoded() -> [UInt8] {
    var writer = ByteWriter(.little, capacity: encodedSize)
    writer.append(magic.utf8)
    writer.align(8)
    writer.u16(Envelope.majorVersion)
    writer.u16(Envelope.minorVersion)
    writer.u8(ByteOrder.little.rawValue)
    writer.u8(UInt8(pageSize.shift))
    writer.u16(architecture.elfMachine)
    writer.u32(UInt32(records.count))
    writer.u32(0)
    writer.u64(UInt64(encodedSize - Envelope.headerSize))
    for record in records {
      writer.u32(record.type)
      writer.u32(0)
      writer.u64(UInt64(record.payload.count))
      writer.append(record.payload)
      writer.align(8)
    }
    var checksum = ByteWriter(.little)
    checksum.u32(CRC32.of(writer.bytes[Envelope.headerSize...]))
    writer.replace(at: 20, with: checksum.bytes)
    return writer.bytes
  }

  /// The size of the records that a header announces: what has to be read after its 32 bytes.
  public static func bodySize(_ header: [UInt8], magic: String, at place: String) throws(DumpError) -> UInt64 {
    let reader = ByteReader(header, .little)
    guard reader.text(0, limit: 8) == magic, let major = reader.u16(8), let order = reader.u8(12),
      let size = reader.u64(24)
    else { throw DumpError("no \(magic) structure here", at: place, advice: "the dump is cut or damaged") }
    guard major == majorVersion else {
      throw DumpError(
        .unsupported, "\(magic) has format version \(major), this mcore reads \(majorVersion)", at: place,
        advice: "use the mcore that wrote the dump, or a newer one")
    }
    guard order == ByteOrder.little.rawValue else {
      throw DumpError("\(magic) has byte order \(order), not 1 (little)", at: place)
    }
    return size
  }

  /// Decodes header and records. Bytes after them are left alone.
  public init(_ bytes: [UInt8], magic: String, at place: String) throws(DumpError) {
    let size = try Envelope.bodySize(bytes, magic: magic, at: place)
    let reader = ByteReader(bytes, .little)
    guard size <= UInt64(Int32.max), let body = reader.slice(Envelope.headerSize, Int(size)),
      let shift = reader.u8(13), shift < 64, let pageSize = PageSize(bytes: 1 << UInt64(shift)),
      let machine = reader.u16(14), let architecture = Architecture(elfMachine: machine),
      let count = reader.u32(16), let checksum = reader.u32(20)
    else { throw DumpError("\(magic) is not whole", at: place, advice: "the dump is cut or damaged") }
    guard CRC32.of(body) == checksum else {
      throw DumpError("\(magic) fails its checksum", at: place, advice: "what it says is not used")
    }
    self.magic = magic
    self.architecture = architecture
    self.pageSize = pageSize
    records = []
    let content = ByteReader(body, .little)
    var offset = 0
    for _ in 0..<count {
      guard let type = content.u32(offset), let length = content.u64(offset + 8), length <= UInt64(body.count),
        let payload = content.slice(offset + 16, Int(length))
      else { throw DumpError("\(magic): record \(records.count) runs past the end", at: place) }
      records.append(Record(type, payload))
      offset += 16 + (Int(length) + 7) / 8 * 8
    }
  }

  /// The payload of the first record of a type.
  public func payload(_ type: UInt32) -> [UInt8]? { records.first { $0.type == type }?.payload }
  /// A record's payload as text.
  public func text(_ type: UInt32) -> String? { payload(type).map { String(decoding: $0, as: UTF8.self) } }
}
