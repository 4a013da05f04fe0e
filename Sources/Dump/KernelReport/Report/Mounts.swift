internal import DumpBasics

extension SystemPicture {
  /// One file system at its place, as the first process sees it.
  struct Mount {
    var path: String
    /// What it was mounted from: `/dev/vda1`, `tmpfs`.
    var device: String?
    var type: String
    var isReadOnly: Bool
  }
}

extension SystemPicture.Mount {
  private static let shownLimit = 256
  private static let countLimit = 1 << 16
  private static let depthLimit = 64

  static func all(_ view: KernelView) -> (mounts: [Self], count: Int) {
    guard let task = view.symbol("init_task"), let proxy = view.value(task, "task_struct", "nsproxy"),
      let space = view.value(proxy, "nsproxy", "mnt_ns"), isKernelAddress(space)
    else { return ([], 0) }
    // A tree since 6.8.
    let places = tree(view, space) ?? list(view, space)
    return (places.prefix(shownLimit).compactMap { read($0, view) }, places.count)
  }

  private static func list(_ view: KernelView, _ space: UInt64) -> [UInt64] {
    guard let head = view.offset("mnt_namespace", "list"), let inside = view.offset("mount", "mnt_list") else { return [] }
    // The first is the root that no process sees.
    return view.list(space &+ head, inside: inside, limit: countLimit, of: "mounts")
  }

  /// In the order of their numbers.
  private static func tree(_ view: KernelView, _ space: UInt64) -> [UInt64]? {
    guard let root = view.value(space, "mnt_namespace", "mounts.rb_node"), let inside = view.offset("mount", "mnt_node"),
      let left = view.offset("rb_node", "rb_left"), let right = view.offset("rb_node", "rb_right")
    else { return nil }
    var found: [UInt64] = []
    var path: [UInt64] = []
    var known: Set<UInt64> = []
    var next = root
    // A tree of that many nodes has no way of more than 64 steps.
    while path.count <= depthLimit, found.count < countLimit {
      if isKernelAddress(next), known.insert(next).inserted {
        path.append(next)
        next = view.u64(next &+ left) ?? 0
        continue
      }
      if next != 0 { view.note("the tree of mounts is broken at \(hex(next)): \(found.count) before it") }
      guard let node = path.popLast() else { break }
      found.append(node &- inside)
      next = view.u64(node &+ right) ?? 0
    }
    return found
  }

  private static func read(_ mount: UInt64, _ view: KernelView) -> Self? {
    guard let block = view.value(mount, "mount", "mnt.mnt_sb"), isKernelAddress(block),
      let typeName = view.offset("file_system_type", "name")
    else { return nil }
    let type = view.value(block, "super_block", "s_type").flatMap { view.u64($0 &+ typeName) }.flatMap {
      view.text($0, limit: 32)
    }
    // MNT_READONLY (include/linux/mount.h), SB_RDONLY (include/linux/fs.h)
    let flags = view.value(mount, "mount", "mnt.mnt_flags") ?? 0
    let ofBlock = view.value(block, "super_block", "s_flags") ?? 0
    return Self(
      path: path(mount, view) ?? "?",
      device: view.value(mount, "mount", "mnt_devname").flatMap { view.text($0, limit: 256) }.flatMap { $0.isEmpty ? nil : $0 },
      type: type ?? "?", isReadOnly: flags & 0x40 != 0 || ofBlock & 1 != 0)
  }

  /// From the place up to the root of the root's mount.
  private static func path(_ start: UInt64, _ view: KernelView) -> String? {
    var mount = start
    guard var entry = view.value(mount, "mount", "mnt.mnt_root") else { return nil }
    var parts: [String] = []
    for _ in 0..<depthLimit {
      guard let root = view.value(mount, "mount", "mnt.mnt_root"), let parent = view.value(mount, "mount", "mnt_parent") else {
        return nil
      }
      if entry == root {
        if parent == mount { return "/" + parts.reversed().joined(separator: "/") }
        guard let place = view.value(mount, "mount", "mnt_mountpoint") else { return nil }
        entry = place
        mount = parent
        continue
      }
      guard let name = view.value(entry, "dentry", "d_name.name").flatMap({ view.text($0, limit: 256) }),
        let above = view.value(entry, "dentry", "d_parent"), above != entry
      else { return nil }
      parts.append(name)
      entry = above
    }
    return nil
  }
}
