internal import DumpBasics

/// What stood around the crash: file systems, hardware that had complained.
struct SystemPicture {
  struct FileSystem {
    /// `vda1`: the kernel's short name of where it is.
    var name: String
    var type: String
    /// Writers wait: somebody froze it (fsfreeze, a snapshot).
    var isFrozen: Bool
  }
  struct HardwareErrors {
    var kind: String
    var count: UInt64
    /// When the last of them came, in seconds since 1970.
    var last: Int64
  }

  /// Those on block devices.
  private(set) var fileSystems: [FileSystem] = []
  private(set) var hardwareErrors: [HardwareErrors] = []

  /// Of the first mount namespace, at most `mountLimit`.
  private(set) var mounts: [Mount] = []
  private(set) var mountCount = 0

  init(_ view: KernelView) {
    addFileSystems(view)
    (mounts, mountCount) = Mount.all(view)
    addHardwareErrors(view)
  }

  private mutating func addFileSystems(_ view: KernelView) {
    guard let head = view.symbol("super_blocks", for: "file systems"), let inside = view.offset("super_block", "s_list"),
      let name = view.offset("super_block", "s_id"), let typeName = view.offset("file_system_type", "name")
    else { return }
    for block in view.list(head, inside: inside, limit: 4096, of: "file systems (super_blocks)") where fileSystems.count < 256 {
      if view.isTimeUp { return }
      guard view.value(block, "super_block", "s_bdev") ?? 0 != 0 else { continue }
      let type = view.value(block, "super_block", "s_type").flatMap { view.u64($0 &+ typeName) }.flatMap {
        view.text($0, limit: 32)
      }
      fileSystems.append(
        FileSystem(
          name: view.text(block &+ name, limit: 32) ?? "?", type: type ?? "?",
          isFrozen: view.value(block, "super_block", "s_writers.frozen") ?? 0 != 0))
    }
  }

  /// Errors that the kernel recovered from (hwerr_data, since 6.18).
  private mutating func addHardwareErrors(_ view: KernelView) {
    guard let table = view.symbol("hwerr_data"), let size = view.size("hwerr_info"), size <= 64 else { return }
    for (name, value) in view.enumerators("hwerr_error_type") where (0..<16).contains(value) && name != "HWERR_RECOV_MAX" {
      let entry = table &+ UInt64(value) &* size
      guard let count = view.value(entry, "hwerr_info", "count.counter"), count > 0,
        let last = view.value(entry, "hwerr_info", "timestamp")
      else { continue }
      hardwareErrors.append(HardwareErrors(kind: name, count: count, last: Int64(bitPattern: last)))
    }
  }

  /// The path of a task's cgroup: `/system.slice/ssh.service`.
  static func cgroup(_ task: UInt64, _ view: KernelView) -> String? {
    guard let set = view.value(task, "task_struct", "cgroups"), let group = view.value(set, "css_set", "dfl_cgrp"),
      var node = view.value(group, "cgroup", "kn"), let name = view.offset("kernfs_node", "name")
    else { return nil }
    var path = ""
    for _ in 0..<32 {
      // `parent` up to 6.14.
      guard let parent = view.value(node, "kernfs_node", "__parent") ?? view.value(node, "kernfs_node", "parent") else {
        return nil
      }
      if parent == 0 { return path.isEmpty ? "/" : path }
      guard let part = view.u64(node &+ name).flatMap({ view.text($0, limit: 256) }) else { return nil }
      path = "/" + part + path
      node = parent
    }
    return "…" + path
  }
}
