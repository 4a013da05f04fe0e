internal import DumpBasics
internal import CoreEncoding

/// What stands at the start of a raw disk that holds a dump, in words that a person can read:
/// docs/targets.md.
///
///     MCORE-RAW-DUMP 1
///     state=whole
///     length=0000000000123456
///     …
///     header-crc32=89abcdef
///
/// It fills one block of 4096 bytes with blanks and a newline at its end.
public struct RawHeader: Sendable, Equatable {
  public enum State: String, Sendable, CaseIterable {
    /// It was begun; `length` bytes were on the disk when this was written.
    case writing
    case whole
    /// The disk was too small, or failed.
    case cut
    /// It was copied to files: the disk may be written over.
    case saved
  }

  public static let size = 4096
  static let magic = "MCORE-RAW-DUMP "
  static let version = "1"
  /// Dumps begin here. What lies between, and as much at the end of the disk, are zeros: file systems, RAIDs
  /// and partition tables put their marks there, so that it shows when somebody else took the disk.
  public static let margin: UInt64 = 1 << 20

  public var state: State
  /// Bytes of the dump file.
  public var length: UInt64 = 0
  /// CRC-32, as of gzip, of those bytes.
  public var checksum: UInt32 = 0
  /// Seconds since 1970, UTC, at which the dump was begun.
  public var time: UInt64
  /// The name that its directory gets, `<time>-<release>`.
  public var name: String
  /// The name that its file gets, `vmcore.elf.gz`.
  public var fileName: String

  func encoded() -> [UInt8] {
    var text =
      "\(RawHeader.magic)\(RawHeader.version)\nstate=\(state.rawValue)\nlength=\(padded(length, 16, radix: 16))\n"
      + "crc32=\(padded(checksum, 8, radix: 16))\ntime=\(padded(time, 16, radix: 16))\nname=\(name)\nfile=\(fileName)\n"
    text += "header-crc32=\(padded(CRC32.of(Array(text.utf8)), 8, radix: 16))\n"
    let bytes = Array(text.utf8)
    return bytes + [UInt8](repeating: 0x20, count: max(0, RawHeader.size - 1 - bytes.count)) + [0x0a]
  }

  init(state: State, time: UInt64, name: String, fileName: String) {
    self.state = state
    self.time = time
    self.name = name
    self.fileName = fileName
  }

  /// Nil for a block that is none of ours. Throws where it begins as ours do, and is damaged or of another
  /// version.
  init?(_ block: [UInt8], at place: String) throws(DumpError) {
    guard block.starts(with: RawHeader.magic.utf8) else { return nil }
    func damaged() -> DumpError {
      DumpError(
        "the header of the dump on this disk is damaged", at: place,
        advice: "dd if=DISK bs=1M skip=1 reads the dump without it; mcore repair and verify take what that gives")
    }
    guard block.starts(with: (RawHeader.magic + RawHeader.version + "\n").utf8) else {
      throw DumpError(.unsupported, "the dump on this disk is of another version", at: place, advice: "use a newer mcore")
    }
    let lines = block.split(separator: 0x0a, maxSplits: 8, omittingEmptySubsequences: false)
    func value(_ line: Int, _ key: String) -> String {
      lines.count > line ? String(decoding: lines[line], as: UTF8.self).dropping(prefix: key + "=") ?? "" : ""
    }
    guard let state = State(rawValue: value(1, "state")), let length = number(value(2, "length"), radix: 16),
      let checksum = number(value(3, "crc32"), radix: 16, upTo: UInt64(UInt32.max)),
      let time = number(value(4, "time"), radix: 16)
    else { throw damaged() }
    self.init(state: state, time: time, name: value(5, "name"), fileName: value(6, "file"))
    self.length = length
    self.checksum = UInt32(truncatingIfNeeded: checksum)
    // Its own checksum is in this.
    guard RawHeader.isPlain(name), RawHeader.isPlain(fileName), block.elementsEqual(encoded()) else { throw damaged() }
  }

  /// What may become a name in a directory.
  static func isPlain(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= 200 && name.utf8.first != 0x2e
      && name.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) || $0 == 0x2b || $0 == 0x2d
          || $0 == 0x2e || $0 == 0x5f || $0 == 0x7e
      }
  }
}
