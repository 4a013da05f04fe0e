internal import DumpBasics

/// The name of a dump directory: `2026-11-23T02-51-07Z-6.1.0-47-cloud-amd64`.
///
/// ISO 8601 with `-` for `:`, which FAT and NTFS do not take and which `host:path` notations split at. It
/// sorts by time. `crashTime` is in seconds since 1970, UTC.
public func dumpName(crashTime: Int64, release: String) -> String {
  let time = UTCTime(secondsSince1970: crashTime).text.utf8.map { $0 == 0x3a ? 0x2d : $0 }
  return String(decoding: time, as: UTF8.self) + "-" + safeRelease(release)
}

/// At most 64 of `[A-Za-z0-9._+~-]`, as the release comes from a dump and becomes part of a path; `_` for the
/// rest. It can't end in `.incomplete`, which would make a whole dump look cut.
private func safeRelease(_ release: String) -> String {
  var bytes = release.utf8.prefix(64).map { byte in
    switch byte {
    case 0x41...0x5a, 0x61...0x7a, 0x30...0x39, 0x2e, 0x5f, 0x2b, 0x7e, 0x2d: byte
    default: UInt8(0x5f)
    }
  }
  if bytes.suffix(incompleteSuffix.utf8.count).elementsEqual(incompleteSuffix.utf8) {
    bytes[bytes.count - incompleteSuffix.utf8.count] = 0x5f
  }
  return bytes.isEmpty ? "unknown" : String(decoding: bytes, as: UTF8.self)
}
