package import DumpBasics

/// A part of a btrfs file system that is mounted by itself. In a target it stands in brackets behind the
/// disk: `/dev/vda2[/@home]:/path`; `[/]` is the file system from its top on.
enum Subvolume {
  /// `/dev/vda2[/@]` as disk and subvolume; no subvolume where there are no brackets.
  static func split(_ text: String) -> (device: String, subvolume: String?) {
    guard text.utf8.last == UInt8(ascii: "]"), let (device, inner) = text.split(atFirst: "[/") else { return (text, nil) }
    return (device, "/" + String(decoding: inner.utf8.dropLast(), as: UTF8.self))
  }

  /// What mount(8) is told. The top has a number (BTRFS_FS_TREE_OBJECTID in include/uapi/linux/btrfs_tree.h),
  /// and need not be what is mounted without a word.
  static func option(_ subvolume: String) -> String { subvolume == "/" ? "subvolid=5" : "subvol=\(subvolume)" }
}

extension MountTable {
  /// Of the mounts of one file system the one that a target means: that of `subvolume`, or of the whole file
  /// system. Where only subvolumes are mounted, as systems on btrfs have it, the one in which `path` is there
  /// already, or the only one. Nil where it has to be mounted. `isDirectory` says what stands under a path of
  /// the running system.
  ///
  /// - Throws: `.usage` where several could be meant: a dump has to be found by who named the place.
  package static func meant(
    _ mounts: [Mount], subvolume: String?, path: String, device: String, isDirectory: (String) -> Bool
  ) throws(DumpError) -> Mount? {
    if let subvolume { return mounts.first { $0.root == subvolume } }
    func holds(_ mount: Mount) -> Bool { isDirectory(mount.point == "/" ? path : mount.point + path) }
    let parts = mounts.filter { $0.type == "btrfs" && $0.isWholeSubvolume && $0.root != "/" }
    if let whole = mounts.first(where: { $0.root == "/" }) {
      // The directory that somebody made is the one that is meant.
      if !holds(whole), let part = parts.first(where: holds), parts.allSatisfy({ $0.root == part.root || !holds($0) }) {
        return part
      }
      return whole
    }
    var found: [Mount] = []
    for part in parts where !found.contains(where: { $0.root == part.root }) { found.append(part) }
    if found.count > 1 {
      let holders = found.filter(holds)
      if holders.count == 1 { return holders[0] }
      let words = found.prefix(8).map { "\(device)[\($0.root)]:\(path)" }.joined(separator: ", ")
      throw DumpError(
        .usage, "several subvolumes of this disk are mounted, and it can't be told which one is meant", at: "\(device):\(path)",
        advice: "name it: \(words)")
    }
    return found.first
  }
}
