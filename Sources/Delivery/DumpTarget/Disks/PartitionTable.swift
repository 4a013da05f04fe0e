internal import DumpBasics
internal import LinuxSystem

/// What a disk's partition table says of its partitions: by that PARTUUID= and PARTLABEL= find them where
/// neither udev nor util-linux is (busybox's findfs knows neither). Whether a partition is there is the
/// kernel's word; this only names those that it has.
struct PartitionTable {
  struct Entry: Equatable {
    /// From 1 on, as the kernel numbers partitions.
    var number: Int
    /// In lower case, as udev and blkid write it.
    var uuid: String
    /// Empty where there is none.
    var label: String
  }

  private(set) var entries: [Entry] = []

  /// As many entries as are looked at; usual tables have 128.
  private static let entryLimit: UInt32 = 1024

  /// - Parameter path: of the whole disk, or an image of one.
  init(_ path: String) {
    guard let file = try? File(path, .read) else { return }
    for sector: UInt64 in [512, 4096] where readGPT(file, sector) { return }
    readMBR(file)
  }

  /// UEFI specification 2.10, section 5.3. False where there is none for sectors of this size.
  private mutating func readGPT(_ file: borrowing File, _ sector: UInt64) -> Bool {
    guard let bytes = try? file.bytes(at: sector, count: 92), bytes.starts(with: "EFI PART".utf8) else { return false }
    let header = ByteReader(bytes, .little)
    guard let first = header.u64(72), let count = header.u32(80), let size = header.u32(84), (128...4096).contains(size) else {
      return false
    }
    let (offset, overflow) = first.multipliedReportingOverflow(by: sector)
    if overflow { return false }
    for index in 0..<min(count, PartitionTable.entryLimit) {
      let (place, overflow) = offset.addingReportingOverflow(UInt64(index) * UInt64(size))
      guard !overflow, let bytes = try? file.bytes(at: place, count: 128), bytes.count == 128 else { break }
      // The type of an unused entry is zero.
      if bytes.prefix(16).allSatisfy({ $0 == 0 }) { continue }
      let units = stride(from: 56, to: 128, by: 2).map { UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8 }
      let label = String(decoding: units.prefix { $0 != 0 }, as: UTF16.self)
      entries.append(Entry(number: Int(index) + 1, uuid: PartitionTable.guid(Array(bytes[16..<32])), label: label))
    }
    return true
  }

  /// The four primary partitions of a DOS table, by the disk's signature (block/partitions/msdos.c, Linux
  /// 6.1).
  private mutating func readMBR(_ file: borrowing File) {
    let reader = ByteReader((try? file.bytes(at: 0, count: 512)) ?? [], .little)
    guard reader.u16(510) == 0xaa55, let signature = reader.u32(440), signature != 0 else { return }
    for index in 0..<4 where reader.slice(446 + 16 * index + 4, 1) != [0] {
      entries.append(
        Entry(number: index + 1, uuid: "\(padded(signature, 8, radix: 16))-\(padded(index + 1, 2, radix: 16))", label: ""))
    }
  }

  /// The first three fields are little-endian.
  private static func guid(_ bytes: [UInt8]) -> String {
    let order = [3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15]
    return order.map { $0 < 0 ? "-" : padded(bytes[$0], 2, radix: 16) }.joined()
  }
}
