internal import DumpBasics
internal import LinuxSystem

/// How a target names its disk: by a path under /dev, or by what stands on the disk.
enum BlockDeviceName: Sendable, Equatable, CustomStringConvertible {
  case path(String)
  /// `UUID=…`, `LABEL=…`, and those of partitions.
  case tag(Tag, String)

  enum Tag: String, Sendable, CaseIterable {
    case uuid = "UUID"
    case label = "LABEL"
    case partitionUUID = "PARTUUID"
    case partitionLabel = "PARTLABEL"

    /// Where udev links the devices, if it runs.
    var linkDirectory: String {
      switch self {
      case .uuid: "/dev/disk/by-uuid"
      case .label: "/dev/disk/by-label"
      case .partitionUUID: "/dev/disk/by-partuuid"
      case .partitionLabel: "/dev/disk/by-partlabel"
      }
    }
  }

  /// Nil when `text` is no name of a device.
  init?(_ text: String) {
    if text.dropping(prefix: "/dev/") != nil {
      self = .path(text)
      return
    }
    for tag in Tag.allCases {
      if let value = text.dropping(prefix: tag.rawValue + "=") {
        self = .tag(tag, value)
        return
      }
    }
    return nil
  }

  var description: String {
    switch self {
    case .path(let path): path
    case .tag(let tag, let value): "\(tag.rawValue)=\(value)"
    }
  }

  /// The device's path, or nil while there is no such device.
  func resolve() -> String? {
    switch self {
    case .path(let path): return System.blockDevice(path) == nil ? nil : path
    case .tag(let tag, let value):
      // A value with a slash would lead elsewhere; one with odd characters is linked in an encoded form.
      let isPlain = value.utf8.allSatisfy { byte in
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte) || byte == 0x2d
          || byte == 0x5f
      }
      if isPlain, let path = System.realPath("\(tag.linkDirectory)/\(value)"), System.blockDevice(path) != nil {
        return path
      }
      // Without udev, as in a small initramfs: findfs of util-linux or busybox looks at the disks.
      let findfs = Command("findfs", [description], output: .collect)
      guard let result = try? System.run(findfs, limitSeconds: 20), result.end == .exited(0) else { return nil }
      return System.blockDevice(result.output) == nil ? nil : result.output
    }
  }
}
