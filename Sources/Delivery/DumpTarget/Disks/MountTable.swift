internal import DumpBasics
package import LinuxSystem

/// A line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
package struct Mount: Sendable, Equatable {
  package var device: DeviceNumber
  /// The directory of the file system that stands at `point`: `/` unless it is a bind mount or a subvolume.
  package var root: String
  package var point: String
  package var isWritable: Bool
  package var type: String
  package var source: String
  /// btrfs: the subvolume that `root` lies in (`btrfs_show_options` in fs/btrfs/super.c, Linux 6.1).
  package var subvolume: String?
  /// overlay: the directory that takes what is written (`ovl_show_options` in fs/overlayfs, Linux 6.1).
  package var upperDirectory: String?

  /// Of the file system itself, with commas between them.
  package var options = ""

  /// Whether `root` is that subvolume, and no directory in it.
  var isWholeSubvolume: Bool { subvolume == nil || subvolume == root }
}

package enum MountTable {
  static func current() throws(DumpError) -> [Mount] { parse(try System.text(of: "/proc/self/mountinfo", limit: 4 << 20)) }

  /// Lines that are not understood are passed over.
  package static func parse(_ text: String) -> [Mount] { text.utf8.split(separator: 0x0a).compactMap { mount($0) } }

  private static func mount(_ line: Substring.UTF8View) -> Mount? {
    let fields = line.split(separator: 0x20).map { unescaped($0) }
    guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 2,
      let (major, minor) = fields[2].split(atFirst: ":"), let major = UInt64(major), let minor = UInt64(minor)
    else { return nil }
    let isReadOnly = fields[5].utf8.split(separator: 0x2c).contains { $0.elementsEqual("ro".utf8) }
    let superReadOnly =
      fields.count > dash + 3 && fields[dash + 3].utf8.split(separator: 0x2c).contains { $0.elementsEqual("ro".utf8) }
    func option(_ prefix: String) -> String? {
      fields.dropFirst(dash + 3).first?.utf8.split(separator: 0x2c).lazy
        .compactMap { String(Substring($0)).dropping(prefix: prefix) }.first
    }
    return Mount(
      device: DeviceNumber(major: major, minor: minor), root: fields[3], point: fields[4],
      isWritable: !isReadOnly && !superReadOnly, type: fields[dash + 1], source: fields[dash + 2], subvolume: option("subvol="),
      upperDirectory: fields[dash + 1] == "overlay" ? option("upperdir=") : nil,
      options: fields.dropFirst(dash + 3).first ?? "")
  }

  /// Blanks, tabs, newlines and backslashes stand as `\040` and so on.
  private static func unescaped(_ field: Substring.UTF8View) -> String {
    let bytes = Array(field)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      let digits = bytes[index...].dropFirst().prefix(3)
      if bytes[index] == 0x5c, digits.count == 3, digits.allSatisfy({ (0x30...0x37).contains($0) }) {
        result.append(UInt8(truncatingIfNeeded: digits.reduce(0) { $0 * 8 + Int($1 - 0x30) }))
        index += 4
      } else {
        result.append(bytes[index])
        index += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}

/// Unmounts every file system that lies on a disk, the last one first: before the machine is restarted. What
/// can't be unmounted stays; it was synced.
public func unmountDisks() {
  guard let table = try? MountTable.current() else { return }
  for mount in table.reversed() where mount.source.dropping(prefix: "/dev/") != nil && mount.point != "/" {
    try? System.unmount(mount.point)
  }
}
