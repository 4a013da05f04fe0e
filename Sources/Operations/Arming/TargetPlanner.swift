internal import Capture
internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem

/// Finds out for each target what a crash kernel needs to reach it. Looks, and changes nothing.
struct TargetPlanner {
  private let machine: Machine
  private let index: ModuleIndex
  private let mounts: [Mount]
  private let settings: [String]
  /// What the targets on other machines need, so far.
  private(set) var kit: FarSideKit
  /// What the commands of `pipe:` need, so far.
  private(set) var programs: ProgramFiles

  /// - Parameter settings: words `key=value`.
  init(_ machine: Machine, _ index: ModuleIndex, settings: [String], asks: NetworkRecorder.Asks?) {
    (self.machine, self.index, self.settings) = (machine, index, settings)
    kit = FarSideKit(machine, index, asks: asks)
    programs = ProgramFiles(root: machine.root)
    mounts = MountTable.parse((try? System.text(of: "\(machine.root)/proc/self/mountinfo", limit: 4 << 20)) ?? "")
  }

  mutating func plan(_ word: String, _ origin: String) -> TargetPlan {
    var plan = TargetPlan(word, origin)
    do throws(DumpError) {
      let spec = try TargetSpec(word)
      if spec.waitsInMemory {
        plan.isMemory = true
        plan.memoryWindows = spec.memoryWindows?.text
        plan.crashWord = word
      } else if let (device, path) = spec.deviceAndPath {
        guard let resolved = spec.devicePath, let number = System.blockDevice(resolved) else {
          throw DumpError("there is no such disk", at: device, advice: "lsblk -f shows those that are there")
        }
        let those = mounts.filter { $0.device == number || $0.source == resolved }
        let meant = try MountTable.meant(those, subvolume: spec.subvolume, path: path, device: device) {
          System.kind(of: machine.root + $0) == .directory
        }
        if let mount = meant ?? those.last { try requireOneDisk(mount) }
        let type = (meant ?? those.last)?.type ?? TargetPlanner.fileSystem(of: resolved)
        try reach(number, type, path, &plan, subvolume: spec.subvolume ?? (type == "btrfs" ? meant?.root : nil))
      } else if let path = spec.directoryPath {
        try reach(path, &plan)
      } else if let farSide = spec.farSide {
        plan.isRemote = true
        var kit = kit
        plan.modules = try kit.add(farSide, settings: settings)
        self.kit = kit
        plan.crashWord = word
      } else if let disk = spec.rawDisk {
        plan.crashWord = "raw:\(try reachRaw(disk.name, disk.path, &plan))"
      } else if let command = spec.command {
        try reach(command: command, &plan)
        plan.crashWord = word
      } else {
        throw DumpError("a crash kernel has nobody to give this to", at: spec.shown)
      }
    } catch {
      plan.reason = error
      plan.crashWord = nil
    }
    return plan
  }

  /// A path of the running system. `depth`: overlays on overlays.
  private func reach(_ path: String, _ plan: inout TargetPlan, depth: Int = 0) throws(DumpError) {
    guard path.utf8.first == 0x2f else {
      throw DumpError(.usage, "this path does not begin at the root", at: path, advice: "write it with a slash in front")
    }
    if System.blockDevice(machine.root + path) != nil {
      throw DumpError(
        .usage, "this is a disk, and no place on it is named", at: path,
        advice: "write \(path):/DIRECTORY for its file system, or raw:\(path) for a disk without one")
    }
    if let kind = System.kind(of: machine.root + path), kind != .directory {
      throw DumpError(.usage, "this is no directory", at: path, advice: "name a directory: each dump gets one of its own in it")
    }
    let real = realPath(path)
    guard let mount = mounts.last(where: { TargetPlanner.rest(of: real, below: $0.point) != nil && isTop($0, real) }),
      let rest = TargetPlanner.rest(of: real, below: mount.point)
    else { throw DumpError("it can't be told which file system this lies on", at: path) }
    // What is written to an overlay lies in another directory.
    if let upper = mount.upperDirectory, mount.type == "overlay" {
      guard depth < 4, System.kind(of: machine.root + upper) == .directory else {
        throw DumpError(
          "this is an overlay, and the directory that takes what is written is not there: \(upper)", at: mount.point,
          advice: "name the disk and the directory on it, or write target=memory: behind it")
      }
      let part = mount.root == "/" ? "" : mount.root
      return try reach(upper + part + (rest == "/" ? "" : rest), &plan, depth: depth + 1)
    }
    // What btrfs shows is no device: there the source is.
    var number = mount.device
    if number.major == 0 {
      guard mount.source.utf8.starts(with: "/dev/".utf8), let found = System.blockDevice(machine.root + mount.source) else {
        throw DumpError(
          TargetPlanner.isNetwork(mount.type)
            ? "this is on the network (\(mount.type)), which a crash kernel does not have mounted"
            : "this file system is on no disk (\(mount.type))", at: mount.point,
          advice: mount.type.utf8.starts(with: "nfs".utf8) ? "write target=nfs:\(mount.source)\(rest == "/" ? "" : rest)" : "")
      }
      number = found
    }
    try requireOneDisk(mount)
    let path = mount.root == "/" ? rest : rest == "/" ? mount.root : mount.root + rest
    // From the top on: what a crash kernel mounts without a word need not be that.
    try reach(number, mount.type, path, &plan, subvolume: mount.type == "btrfs" ? "/" : nil)
  }

  /// A crash kernel mounts a file system by one device.
  private func requireOneDisk(_ mount: Mount) throws(DumpError) {
    let advice = "its dump goes by way of memory: write target=memory: behind it"
    if mount.options.split(separator: ",").contains(where: { $0.hasPrefix("logdev=") || $0.hasPrefix("rtdev=") }) {
      throw DumpError(
        .unsupported, "its file system has a second device (logdev= or rtdev=), which a crash kernel does not hand over",
        at: mount.point, advice: advice)
    }
    guard mount.type == "btrfs" else { return }
    let name = DeviceChain.name(mount.source)
    let pools = "\(machine.root)/sys/fs/btrfs"
    for pool in (try? System.names(in: pools)) ?? [] {
      let disks = (try? System.names(in: "\(pools)/\(pool)/devices")) ?? []
      if disks.count > 1, disks.contains(name) {
        throw DumpError(
          .unsupported, "its btrfs lies on \(disks.count) disks, which a crash kernel does not put together", at: mount.point,
          advice: advice)
      }
    }
  }

  private func reach(
    _ number: DeviceNumber, _ type: String, _ path: String, _ plan: inout TargetPlan, subvolume: String?
  ) throws(DumpError) {
    if let subvolume, type != "btrfs" {
      throw DumpError(.usage, "[\(subvolume)] names a subvolume of btrfs, and this is \(type)", at: plan.word)
    }
    var chain = DeviceChain(machine, index)
    try chain.add(number)
    try addFileSystem(type, &chain)
    try take(chain, &plan)
    let name = System.realPath("\(machine.root)/sys/dev/block/\(number)").map { DeviceChain.name($0) } ?? ""
    if path.utf8.contains(0x22) || path.utf8.contains(0x0a) {
      throw DumpError(.usage, "a quotation mark or a newline in the path can't be handed to a crash kernel", at: path)
    }
    let part = subvolume.map { "[\($0)]" } ?? ""
    let tag = chain.assemblies.isEmpty ? tag(name) : "/dev/\(name)"
    if chain.assemblies.isEmpty, tag.utf8.first == 0x2f {
      plan.warning =
        "\(plan.word) is armed as \(tag), since udev knows no UUID of it: a crash kernel may find its disks in another order"
    }
    plan.crashWord = "\(tag)\(part):\(path)"
  }

  // MARK: without a file system

  /// The disk of `last=`, for what can be kept when every target failed.
  func planLast(_ word: String) -> TargetPlan {
    var plan = TargetPlan(word, "")
    do throws(DumpError) { plan.crashWord = try reachWhole(word, LastResort.devicePath(word), &plan) } catch {
      plan.reason = error
    }
    return plan
  }

  /// A disk that takes the dump alone.
  /// - Returns: its name for the crash kernel.
  private func reachRaw(_ name: String, _ path: String?, _ plan: inout TargetPlan) throws(DumpError) -> String {
    let tag = try reachWhole(name, path, &plan)
    if let path, value("force", settings) != "yes" { try RawDisk(path, forWriting: false).requireFree() }
    return tag
  }

  /// A disk or partition that nobody else has.
  private func reachWhole(_ name: String, _ path: String?, _ plan: inout TargetPlan) throws(DumpError) -> String {
    guard let path, let number = System.blockDevice(path) else {
      throw DumpError("there is no such disk", at: name, advice: "lsblk shows those that are there")
    }
    if let mount = mounts.first(where: { $0.device == number || $0.source == path }) {
      throw DumpError(.usage, "its file system is mounted on \(mount.point)", at: name, advice: "name a disk that nobody uses")
    }
    let place = System.realPath("\(machine.root)/sys/dev/block/\(number)") ?? ""
    if let holder = (try? System.names(in: "\(place)/holders"))?.first {
      throw DumpError(.usage, "it is a part of \(holder)", at: name, advice: "name a disk that nobody uses")
    }
    var chain = DeviceChain(machine, index)
    try chain.add(number)
    try take(chain, &plan)
    return chain.assemblies.isEmpty ? tagOfWhole(lastName(of: place)) : BlockDevices.path(lastName(of: place))
  }

  /// The programs of a command line go along, the files that it names, and the drivers of the disks.
  private mutating func reach(command: String, _ plan: inout TargetPlan) throws(DumpError) {
    if command.utf8.contains(0x22) || command.utf8.contains(0x0a) {
      throw DumpError(
        .usage, "a double quotation mark or a newline in a command can't be handed to a crash kernel", at: shownTarget(plan.word),
        advice: "write ' for \", or put the command into a script and name that")
    }
    let words = CommandWords(command)
    var trial = programs
    var chain = DeviceChain(machine, index)
    for program in words.programs {
      try trial.add(program: program)
      if program.utf8.contains(0x2f) { try HookFiles.addNeeds(of: machine.root + program, to: &trial) }
    }
    for path in words.paths {
      if let number = System.blockDevice(machine.root + path) {
        try chain.add(number)
      } else if trial.isProgram(path) {
        try trial.add(program: path)
      } else if System.kind(of: machine.root + path) == .regular {
        try trial.add(file: path)
      }
    }
    try take(chain, &plan)
    programs = trial
  }

  /// - Throws: where a module that is needed is not there.
  private func take(_ chain: DeviceChain, _ plan: inout TargetPlan) throws(DumpError) {
    _ = try index.loadOrder(chain.modules)
    (plan.modules, plan.assemblies) = (chain.modules, chain.assemblies)
  }

  // MARK: file systems

  private func addFileSystem(_ type: String, _ chain: inout DeviceChain) throws(DumpError) {
    if type.isEmpty {
      throw DumpError("there is no file system on it that this system knows", advice: "mkfs makes one; blkid tells what is there")
    }
    if type == "fuseblk" { throw DumpError("this file system is a program (FUSE), which a crash kernel does not have") }
    let modules = index.has(type) ? [type] : index.modules(forAlias: "fs-\(type)")
    if modules.isEmpty, !isBuiltIn(type) { throw DumpError("the running kernel has no module for the file system \(type)") }
    for module in modules { chain.add(module: module) }
    // The names of files on FAT; asked for by name when it is mounted.
    if type == "vfat" {
      for module in ["nls_cp437", "nls_iso8859_1", "nls_ascii", "nls_utf8"] where index.has(module) { chain.add(module: module) }
    }
  }

  private func isBuiltIn(_ type: String) -> Bool {
    let list = (try? machine.text("/proc/filesystems")) ?? ""
    return list.utf8.split(separator: 0x0a).contains { $0.first == 0x09 && $0.dropFirst().elementsEqual(type.utf8) }
  }

  /// As blkid tells it; empty where it does not.
  private static func fileSystem(of device: String) -> String {
    let command = Command("blkid", ["-o", "value", "-s", "TYPE", device], output: .collect)
    guard let result = try? System.run(command, limitSeconds: 20), result.end == .exited(0) else { return "" }
    return result.output
  }

  private static func isNetwork(_ type: String) -> Bool { ["nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "afs"].contains(type) }

  // MARK: names

  /// A name that holds in another kernel, where disks may be found in another order.
  private func tag(_ name: String) -> String {
    if let uuid = linked(name, "by-uuid") { return "UUID=\(uuid)" }
    if let partition = linked(name, "by-partuuid") { return "PARTUUID=\(partition)" }
    return "/dev/\(name)"
  }

  /// The same for a disk on which nothing stands; `name` as in sysfs.
  private func tagOfWhole(_ name: String) -> String {
    if let partition = linked(DeviceChain.name(name), "by-partuuid") { return "PARTUUID=\(partition)" }
    let path = BlockDevices.path(name)
    if let id = BlockDevices.id(ofDisk: name, root: machine.root), id.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x22 && $0 < 0x7f }),
      BlockDevices.disk(id: id, root: machine.root) == path
    {
      return "DISKID=\(id)"
    }
    return path
  }

  /// What udev links the device as, in that directory; nil where it does not.
  private func linked(_ name: String, _ directory: String) -> String? {
    let device = System.realPath("\(machine.root)/dev/\(name)") ?? "/dev/\(name)"
    let links = "\(machine.root)/dev/disk/\(directory)"
    // What udev had to encode is left to other names.
    return ((try? System.names(in: links)) ?? []).first {
      System.realPath("\(links)/\($0)") == device && !$0.utf8.contains(0x5c)
    }
  }

  /// The path with its symbolic links followed, as far as it exists.
  private func realPath(_ path: String) -> String {
    var (place, missing) = (path, "")
    while true {
      if let real = System.realPath(machine.root + place) {
        let inside = String(Substring(real.utf8.dropFirst(System.realPath(machine.root + "/")?.utf8.count ?? 0)))
        let base = machine.root.isEmpty ? real : inside.isEmpty ? "/" : inside
        return base == "/" ? (missing.isEmpty ? "/" : missing) : base + missing
      }
      let parent = parentDirectory(of: place)
      if parent == place { return path }
      missing = "/\(lastName(of: place))" + missing
      place = parent
    }
  }

  /// Whether no other mount, nearer to the path, lies on this one.
  private func isTop(_ mount: Mount, _ path: String) -> Bool {
    !mounts.contains { $0.point.utf8.count > mount.point.utf8.count && TargetPlanner.rest(of: path, below: $0.point) != nil }
  }

  /// What of the path comes behind `directory`, with a slash in front; nil where it lies elsewhere.
  static func rest(of path: String, below directory: String) -> String? {
    if directory == "/" { return path }
    if path == directory { return "/" }
    guard path.utf8.starts(with: "\(directory)/".utf8) else { return nil }
    return String(Substring(path.utf8.dropFirst(directory.utf8.count)))
  }
}
