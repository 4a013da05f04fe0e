internal import Glibc

/// The major and minor number that a device or a mounted file system has.
public struct DeviceNumber: Sendable, Hashable, CustomStringConvertible {
  public var major: UInt64
  public var minor: UInt64

  public init(major: UInt64, minor: UInt64) {
    self.major = major
    self.minor = minor
  }

  /// glibc's layout of dev_t (bits/sysmacros.h): major in bits 8-19 and 44-63, minor in bits 0-7 and 20-43.
  init(_ number: dev_t) {
    let number = UInt64(number)
    major = (number >> 8) & 0xfff | (number >> 32) & ~0xfff
    minor = number & 0xff | (number >> 12) & 0xffff_ff00
  }

  public var description: String { "\(major):\(minor)" }
}

extension System {
  /// The number of the block device that `path` names; nil when it names none.
  public static func blockDevice(_ path: String) -> DeviceNumber? {
    var info = stat()
    guard Faults.next(.stat) == nil, unsafe stat(path, &info) == 0, info.st_mode & S_IFMT == S_IFBLK else { return nil }
    return DeviceNumber(info.st_rdev)
  }

  /// Bytes that are free on the file system that `path` lies on; nil where it does not tell, or tells of none
  /// at all, as file systems without a limit do.
  public static func freeBytes(of path: String) -> UInt64? {
    var info = statvfs()
    guard unsafe statvfs(path, &info) == 0, info.f_blocks > 0 else { return nil }
    // Root may use what is set aside for it.
    let blocks = UInt64(geteuid() == 0 ? info.f_bfree : info.f_bavail)
    let (bytes, overflow) = blocks.multipliedReportingOverflow(by: UInt64(info.f_frsize))
    return overflow ? nil : bytes
  }

  /// The number of the file system that `path` lies on.
  public static func fileSystem(of path: String) -> DeviceNumber? {
    var info = stat()
    guard Faults.next(.stat) == nil, unsafe stat(path, &info) == 0 else { return nil }
    return DeviceNumber(info.st_dev)
  }
}
