public import DumpBasics
internal import LinuxSystem

/// 128 bits that name something: a boot, a dump, what `arm` made up.
public struct RegionID: Hashable, Sendable, CustomStringConvertible {
  let bytes: [UInt8]
  static let size = 16

  /// Nil unless there are 16.
  public init?(_ bytes: [UInt8]) {
    if bytes.count != RegionID.size { return nil }
    self.bytes = bytes
  }

  /// 32 hexadecimal digits, with or without the hyphens of a UUID (as in /proc/sys/kernel/random/boot_id).
  public init?(_ text: String) {
    let digits = text.utf8.filter { $0 != 0x2d }.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    guard digits.count == 2 * RegionID.size, text.utf8.count - digits.count <= 4 else { return nil }
    bytes = (0..<RegionID.size).map { UInt8(digits[2 * $0] << 4 | digits[2 * $0 + 1]) }
  }

  /// Not known.
  public static let none = RegionID(zeros: ())
  private init(zeros: ()) { bytes = [UInt8](repeating: 0, count: RegionID.size) }

  public static func random() throws(DumpError) -> RegionID {
    let file = try File("/dev/urandom", .read)
    guard let made = RegionID(try file.bytes(at: 0, count: size)), made != none else {
      throw DumpError("no random bytes", at: file.path)
    }
    return made
  }

  /// As a UUID.
  public var description: String {
    var text = ""
    for (index, byte) in bytes.enumerated() {
      if [4, 6, 8, 10].contains(index) { text += "-" }
      text += padded(byte, 2, radix: 16)
    }
    return text
  }
}

/// Which crash of which machine a region is about.
public struct RegionIdentity: Sendable, Equatable {
  /// Of the boot that crashed, /proc/sys/kernel/random/boot_id.
  public var bootID = RegionID.none
  /// What `arm` made up: known to this machine's disk and its crash initramfs alone.
  public var nonce = RegionID.none
  /// A number for the machine's memory map, made by `arm`; 0 where none is known.
  public var geometry: UInt64 = 0
  /// Seconds since 1970, UTC.
  public var crashTime: Int64 = 0
  /// Of the crashed kernel, at most 64 bytes.
  public var release = ""
  /// What the dump file is called in a dump directory, at most 32 bytes.
  public var fileName = "vmcore.elf.gz"

  public init() {}

  /// Whether both are of one crash: the nonce, which every `arm` makes anew, tells.
  func isOfTheCrash(_ other: RegionIdentity) -> Bool {
    nonce != .none && nonce == other.nonce && bootID == other.bootID && crashTime == other.crashTime && geometry == other.geometry
  }
}

/// What a region has to be to be taken. Nil: not known, not compared.
public struct RegionExpectation: Sendable {
  public var bootID: RegionID?
  public var nonce: RegionID?
  public var geometry: UInt64?
  /// Whether nobody said where it is: then only the nonce shows that it is this machine's.
  public var isFoundByScan = false
  public init() {}

  /// Throws for another machine's or another boot's.
  func check(_ identity: RegionIdentity, at place: String) throws(DumpError) {
    if let bootID, identity.bootID != bootID {
      throw refused("it is of boot \(identity.bootID), expected \(bootID)", place)
    }
    if let geometry, identity.geometry != geometry {
      throw refused("its memory map is \(hex(identity.geometry)), this machine's \(hex(geometry))", place)
    }
    if let nonce, identity.nonce != nonce { throw refused("its nonce is not the one that was recorded", place) }
    if isFoundByScan, nonce == nil || nonce == RegionID.none {
      throw refused("it was found by a scan, and no nonce is known to check it", place)
    }
  }

  private func refused(_ why: String, _ place: String) -> DumpError {
    DumpError("a region is refused: \(why)", at: place, advice: "it stays as it is")
  }
}
