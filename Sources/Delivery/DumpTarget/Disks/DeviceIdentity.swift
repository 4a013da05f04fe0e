internal import DumpBasics
internal import LinuxSystem

/// What stands on a block device that is a part of another one: by it the part is found again in a crash
/// kernel, which may number its disks in another way.
package enum DeviceIdentity {
  /// `pv:` and the UUID of a physical volume of LVM.
  package static func ofPhysicalVolume(_ path: String) -> String? {
    guard let start = bytes(path, 0, 2048) else { return nil }
    let reader = ByteReader(start, .little)
    // The label stands in one of the first four sectors; the header it leads to begins with the UUID
    // (lib/format_text/layout.h of LVM2).
    for sector in 0..<4 {
      let place = sector * 512
      guard reader.slice(place, 8) == Array("LABELONE".utf8), reader.slice(place + 24, 8) == Array("LVM2 001".utf8),
        let offset = reader.u32(place + 20), offset <= 480, let uuid = reader.slice(place + Int(offset), 32),
        uuid.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) })
      else { continue }
      return "pv:" + String(decoding: uuid, as: UTF8.self)
    }
    return nil
  }

  /// `md:` and the UUID of the array that this is a member of, with superblocks of version 1.`minorVersion`
  /// (include/uapi/linux/raid/md_p.h).
  package static func ofArray(_ path: String, minorVersion: Int32) -> String? {
    guard let file = try? File(path, .read), let size = try? file.size() else { return nil }
    let offset: UInt64
    switch minorVersion {
    // At least 8 KiB before the end, at a multiple of 4 KiB.
    case 0: offset = size < 16384 ? 0 : ((size / 512 - 16) & ~7) * 512
    case 1: offset = 0
    case 2: offset = 4096
    default: return nil
    }
    guard let block = bytes(path, offset, 32) else { return nil }
    let reader = ByteReader(block, .little)
    guard reader.u32(0) == 0xa92b_4efc, reader.u32(4) == 1, let uuid = reader.slice(16, 16) else { return nil }
    return "md:" + uuid.map { padded($0, 2, radix: 16) }.joined()
  }

  private static func bytes(_ path: String, _ offset: UInt64, _ count: Int) -> [UInt8]? {
    guard let file = try? File(path, .read), let bytes = try? file.bytes(at: offset, count: count), bytes.count == count
    else { return nil }
    return bytes
  }
}
