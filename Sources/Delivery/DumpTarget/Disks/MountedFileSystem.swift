internal import DumpBasics
internal import LinuxSystem

/// A file system that is mounted: it was before, or it is now, on a mount point of our own.
final class MountedFileSystem {
  /// Where it is mounted.
  let point: String
  /// Whether we mounted it, and so unmount it.
  let isOurs: Bool
  private var isMounted: Bool

  /// For the directory `path` of a disk, or of one subvolume of it. `limit`: seconds that mounting may take.
  /// A journal's replay takes its time; longer is a disk that hangs.
  convenience init(_ device: String, subvolume: String? = nil, for path: String, limit: UInt64) throws(DumpError) {
    let existing = try MountTable.meant(
      MountedFileSystem.mounts(of: device), subvolume: subvolume, path: path, device: device
    ) { System.kind(of: $0) == .directory }
    try self.init(existing) { (point) throws(DumpError) in
      try MountedFileSystem.mount(
        device, on: point, subvolume.map { ["-o", Subvolume.option($0)] } ?? [], limit: limit,
        advice: "is it the right disk, does it hold a file system, and is the module of that file system loaded?")
    }
  }

  /// `source` is a directory of another machine, `host:/path`.
  convenience init(remote source: String, type: String, options: String, limit: UInt64) throws(DumpError) {
    let existing = (try? MountTable.current())?.first { mount in
      mount.source == source && mount.root == "/" && mount.isWritable && mount.type.dropping(prefix: type) != nil
        && System.fileSystem(of: mount.point) == mount.device
    }
    try self.init(existing) { (point) throws(DumpError) in
      try MountedFileSystem.mount(source, on: point, ["-t", type, "-o", options], limit: limit, advice: "")
    }
  }

  private init(_ existing: Mount?, mount: (String) throws(DumpError) -> Void) throws(DumpError) {
    isMounted = false
    if let existing {
      point = existing.point
      isOurs = false
      return
    }
    point = try MountedFileSystem.makeMountPoint()
    isOurs = true
    do throws(DumpError) {
      try mount(point)
      isMounted = true
    } catch {
      release()
      throw error
    }
  }

  /// A place as it is on the disk, `/dev/vda:/x`: a mount point of ours is gone when somebody reads it.
  func shown(_ place: String, as prefix: String) -> String {
    guard isOurs, let (before, rest) = place.split(atFirst: point) else { return place }
    return before + prefix + rest
  }

  func told(_ error: DumpError, as prefix: String) -> DumpError {
    var told = error
    told.place = shown(error.place, as: prefix)
    return told
  }

  deinit { release() }

  /// Unmounts what we mounted. All files on it have to be closed. When it fails nothing is lost: everything
  /// was synced.
  func release() {
    guard isOurs else { return }
    if isMounted, (try? System.unmount(point)) == nil { return }
    isMounted = false
    try? System.rmdir(point)
  }

  /// The directory `path` (absolute, on this file system), made where it is missing.
  func directory(_ path: String) throws(DumpError) -> String {
    let directory = point == "/" ? path : joined(point, String(decoding: path.utf8.dropFirst(), as: UTF8.self))
    try makeDirectories(directory)
    // A symbolic link with an absolute target would lead into the running system, in an initramfs into RAM.
    if isOurs, let real = System.realPath(directory), let realPoint = System.realPath(point),
      real != realPoint, real.dropping(prefix: realPoint + "/") == nil
    {
      throw DumpError(
        .usage, "a symbolic link in this path leads off the disk, to \(real)", at: path,
        advice: "name the directory that it stands for on the disk")
    }
    return directory
  }

  // MARK: mounting

  /// Mounts that can be used: writable, and not hidden by another one on top.
  private static func mounts(of device: String) -> [Mount] {
    guard let number = System.blockDevice(device), let table = try? MountTable.current() else { return [] }
    let real = System.realPath(device)
    return table.filter { mount in
      // btrfs shows a device number of its own: there the source tells.
      let isSame = mount.device == number || (real != nil && System.realPath(mount.source) == real)
      let isOnTop =
        mount.type == "btrfs"
        ? table.last { $0.point == mount.point } == mount : System.fileSystem(of: mount.point) == mount.device
      return isSame && mount.isWritable && isOnTop
    }
  }

  private static func makeMountPoint() throws(DumpError) -> String {
    var last = DumpError("there is no place for a mount point")
    for base in ["/run", "/tmp"] where System.kind(of: base) == .directory {
      for number in 1...100 {
        let candidate = "\(base)/mcore-mount-\(System.processID)-\(number)"
        do throws(DumpError) {
          if try System.mkdir(candidate, mode: 0o700) { return candidate }
        } catch {
          last = error
          break
        }
      }
    }
    throw DumpError(last.kind, last.what, at: last.place, advice: "mount the file system and name a directory on it")
  }

  private static func mount(
    _ device: String, on point: String, _ options: [String], limit: UInt64, advice: String
  ) throws(DumpError) {
    let command = Command("mount", ["-o", "rw,nosuid,nodev,noexec"] + options + [device, point], output: .collect)
    let result: ProcessResult
    do throws(DumpError) {
      result = try System.run(command, limitSeconds: limit > 0 ? limit : nil)
    } catch {
      // No mount program: what the kernel can mount by itself still works.
      if options.isEmpty, (try? mountDirectly(device, on: point)) != nil { return }
      throw error
    }
    if result.end == .exited(0) { return }
    let reason =
      switch result.end {
      case .timedOut: "mount did not come to an end within \(limit) s"
      case .killed(let signal): "mount was ended by signal \(signal)"
      case .exited(let status): result.output.isEmpty ? "mount ended with status \(status)" : mountReason(result.output)
      }
    let kind: DumpError.Kind = result.end == .timedOut ? .system(System.timedOut) : .input
    throw DumpError(kind, "cannot mount: \(reason)", at: device, advice: advice)
  }

  /// The last line but for the hint at dmesg that mount(8) ends with since util-linux 2.38.
  private static func mountReason(_ output: String) -> String {
    let said = output.utf8.split(separator: 0x0a).map { String(Substring($0)) }
    return said.last { $0.split(atFirst: "dmesg(1)") == nil } ?? lastLine(output)
  }

  private static func mountDirectly(_ device: String, on point: String) throws(DumpError) {
    var last = DumpError("no file system type fits", at: device)
    // Types without a tab in front need a device (proc_filesystems(5)).
    for line in try System.text(of: "/proc/filesystems").utf8.split(separator: 0x0a) {
      guard line.first == 0x09 else { continue }
      do throws(DumpError) {
        return try System.mount(device, on: point, type: String(decoding: line.dropFirst(), as: UTF8.self))
      } catch { last = error }
    }
    throw last
  }
}
