internal import DumpBasics
internal import LinuxSystem

/// The disks and partitions that the kernel has now. Tests have a directory in place of the root.
package enum BlockDevices {
  /// What a disk says of itself, wherever it is plugged in and in whatever order disks are found: its world
  /// wide name, or its serial number. Nil where it says nothing.
  /// - Parameter name: the kernel's, of a whole disk.
  package static func id(ofDisk name: String, root: String = "") -> String? {
    let directory = "\(root)/sys/class/block/\(name)"
    // SCSI and ATA, NVMe, virtio (Documentation/ABI of Linux).
    for attribute in ["device/wwid", "wwid", "device/serial", "serial"] {
      guard let text = try? System.text(of: "\(directory)/\(attribute)", limit: 4096) else { continue }
      let blanks = text.utf8.prefix { $0 <= 0x20 }.count
      let line = text.utf8.dropFirst(blanks).prefix { $0 != 0x0a && $0 != 0 }
      if let last = line.lastIndex(where: { $0 != 0x20 }) { return String(Substring(line[...last])) }
    }
    return nil
  }

  /// The path of the only disk with this `id(ofDisk:)`; nil where there is none, or more than one.
  package static func disk(id: String, root: String = "") -> String? {
    let found = names(root).filter { BlockDevices.id(ofDisk: $0, root: root) == id && !isPartition($0, root) }
    return found.count == 1 ? found.first.map { path($0) } : nil
  }

  /// The path of the first partition that the table of its disk describes so.
  static func partition(root: String = "", _ isMeant: (PartitionTable.Entry) -> Bool) -> String? {
    var tables: [String: PartitionTable] = [:]
    for name in names(root) {
      let directory = "\(root)/sys/class/block/\(name)"
      guard let text = try? System.text(of: "\(directory)/partition", limit: 64),
        let number = Int(String(Substring(text.utf8.prefix { $0 != 0x0a }))), let place = System.realPath(directory)
      else { continue }
      let disk = lastName(of: parentDirectory(of: place))
      let table = tables[disk] ?? PartitionTable(root + path(disk))
      tables[disk] = table
      if table.entries.contains(where: { $0.number == number && isMeant($0) }) { return path(name) }
    }
    return nil
  }

  /// A slash in a device's name stands as `!` in sysfs (kobject_set_name_vargs).
  package static func path(_ name: String) -> String {
    "/dev/" + String(decoding: name.utf8.map { $0 == 0x21 ? 0x2f : $0 }, as: UTF8.self)
  }

  private static func isPartition(_ name: String, _ root: String) -> Bool {
    System.kind(of: "\(root)/sys/class/block/\(name)/partition") != nil
  }

  private static func names(_ root: String) -> [String] { (try? System.names(in: "\(root)/sys/class/block")) ?? [] }
}
