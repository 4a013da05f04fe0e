internal import DumpBasics
internal import LinuxSystem

/// How a target names its disk: by a path under /dev, or by what stands on the disk.
enum BlockDeviceName: Sendable, Equatable, CustomStringConvertible {
  case path(String)
  /// `UUID=…`, `LABEL=…`, those of partitions, and `DISKID=…`, what a whole disk says of itself.
  case tag(Tag, String)

  enum Tag: String, Sendable, CaseIterable {
    case uuid = "UUID"
    case label = "LABEL"
    case partitionUUID = "PARTUUID"
    case partitionLabel = "PARTLABEL"
    case diskID = "DISKID"

    /// Where udev links the devices, if it runs; nil where it does not link them so.
    var linkDirectory: String? {
      switch self {
      case .uuid: "/dev/disk/by-uuid"
      case .label: "/dev/disk/by-label"
      case .partitionUUID: "/dev/disk/by-partuuid"
      case .partitionLabel: "/dev/disk/by-partlabel"
      case .diskID: nil
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
      if isPlain, let links = tag.linkDirectory, let path = System.realPath("\(links)/\(value)"), System.blockDevice(path) != nil
      {
        return path
      }
      // Without udev, as in a small initramfs.
      switch tag {
      case .partitionUUID: return BlockDevices.partition { $0.uuid == BlockDeviceName.lowercase(value) }
      case .partitionLabel: return BlockDevices.partition { $0.label == value }
      case .diskID: return BlockDevices.disk(id: value)
      case .uuid, .label: break
      }
      // findfs of util-linux or busybox looks at the disks.
      let findfs = Command("findfs", [description], output: .collect)
      guard let result = try? System.run(findfs, limitSeconds: 20), result.end == .exited(0) else { return nil }
      return System.blockDevice(result.output) == nil ? nil : result.output
    }
  }

  private static func lowercase(_ text: String) -> String {
    String(decoding: text.utf8.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
  }
}
