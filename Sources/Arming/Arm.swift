public import DumpBasics
internal import LinuxSystem
internal import SoftBoot

/// How this machine gets ready for its next crash.
public struct ArmRequest: Sendable {
  /// Nil: those of the running kernel in /boot.
  public var kernel: String?
  public var initrd: String?
  /// The start of the crash initramfs: mcore-capture as /init (initramfs/build.sh). Nil: where `make install` puts it.
  public var base: String?
  /// More words for the crash kernel's command line.
  public var append = ""
  /// Where the crash initramfs and the record go.
  public var directory = "/var/lib/mcore"
  /// In place of / for what is read from /proc and /sys: for tests.
  package var root = ""

  public init() {}
}

/// What was loaded.
public struct Armed: Sendable {
  public var kernel: String
  public var initrd: String
  /// Bytes of the crash initramfs.
  public var imageSize: UInt64
  /// Bytes that `crashkernel=` set aside, and how many are needed by what is known.
  public var crashMemory: UInt64
  public var neededMemory: UInt64
}

/// Builds the crash initramfs from this machine and loads the crash kernel: a panic from now on takes the soft boot.
public func arm(_ request: ArmRequest) throws(DumpError) -> Armed {
  let machine = Machine(root: request.root)
  let release = machine.release
  let kernel = try existing([request.kernel ?? "/boot/vmlinuz-\(release)"], "the normal kernel", "name it with --kernel")
  let initrd = try existing(
    [request.initrd ?? "/boot/initrd.img-\(release)", "/boot/initramfs-\(release).img"].prefix(request.initrd == nil ? 2 : 1),
    "its initramfs", "name it with --initrd")
  let base = try existing(
    request.base.map { [$0] } ?? ["/usr/local/lib/mcore/crash-base.img", "/usr/lib/mcore/crash-base.img"],
    "the start of the crash initramfs", "run make install, or name it with --base")
  guard machine.lockdown == "none" else {
    throw DumpError(
      .unsupported, "the kernel is locked down (\(machine.lockdown)): a crash kernel can't write to memory", at: "/dev/mem",
      advice: "it is because of Secure Boot in most cases")
  }
  var armed = Armed(
    kernel: kernel, initrd: initrd, imageSize: 0, crashMemory: machine.crashMemory,
    neededMemory: try CrashMemory(kernel: kernel, initrd: initrd).withNormalKernel)
  guard armed.crashMemory >= armed.neededMemory else {
    throw DumpError(
      .full,
      "\(humanBytes(armed.crashMemory)) of memory are set aside for a crash kernel, and \(humanBytes(armed.neededMemory)) are needed",
      at: "crashkernel=",
      advice: "put crashkernel=\((armed.neededMemory + 1 << 20 - 1) >> 20)M on the kernel command line and reboot")
  }
  let record = try ArmRecord(machine)
  try requireRoomForMap(record)

  if try System.mkdir(request.directory, mode: 0o700) { try? System.synchronizeDirectory(request.directory) }
  let image = "\(request.directory)/crash.img"
  // What is loaded holds for the record that lies there: neither may outlive the other.
  try? disarm(directory: request.directory)
  do throws(DumpError) {
    try build(image, base, armed, record)
    armed.imageSize = try File(image, .read).size()
    try System.loadKernel(kernel, initrd: image, commandLine: crashCommandLine(machine, request.append), .crash)
  } catch {
    try? System.unlink(image)
    throw error
  }
  try File("\(request.directory)/armed", .replace).write(record.text)
  // It is in the crash kernel's memory now.
  try? System.unlink(image)
  return armed
}

/// Takes the crash kernel back, and what was recorded for it.
public func disarm(directory: String = ArmRequest().directory) throws(DumpError) {
  for name in ["armed", "crash.img"] where System.kind(of: "\(directory)/\(name)") != nil {
    try System.unlink("\(directory)/\(name)")
  }
  if System.isKernelLoaded(.crash) { try System.unloadKernel(.crash) }
}

private func existing(_ paths: some Sequence<String>, _ what: String, _ advice: String) throws(DumpError) -> String {
  var first = ""
  for path in paths {
    if System.kind(of: path) == .regular { return path }
    if first.isEmpty { first = path }
  }
  throw DumpError(.usage, "\(what) is not there", at: first, advice: advice)
}

/// Whether the map and at least one extent fit the normal kernel's command line; 0x… of 40 bits each at most.
private func requireRoomForMap(_ record: ArmRecord) throws(DumpError) {
  let map = try MemoryMap(record: record.memoryMap, at: "/sys/firmware/memmap")
  let room = NormalKernel.room(for: map, commandLine: record.commandLine)
  // SIZE@ADDRESS in mcore.region=, the same with ! in memmap=, and one more piece of RAM.
  guard room >= 3 * 26 else {
    throw DumpError(
      .full, "the memory map and the kernel command line leave \(room) bytes for a region", at: "command line",
      advice: "a command line of 2046 bytes has to hold both")
  }
}

func build(_ image: String, _ base: String, _ armed: Armed, _ record: ArmRecord) throws(DumpError) {
  let archive = try CpioArchive(image, beginningWith: base)
  try archive.addDirectory("normal")
  try archive.add("normal/vmlinuz", contentsOf: armed.kernel)
  try archive.add("normal/initrd", contentsOf: armed.initrd)
  try archive.add("normal/cmdline", record.commandLine + "\n")
  try archive.add("normal/memory-map", record.memoryMap)
  try archive.add("normal/boot-id", record.bootID + "\n")
  try archive.add("normal/nonce", record.nonce + "\n")
  if let cpu = record.bootCPU { try archive.add("normal/boot-cpu", "\(cpu)\n") }
  try archive.finish()
}

/// Consoles as they are now. One CPU: bringing up others from another than the boot CPU can reset the machine (below 6.9).
private func crashCommandLine(_ machine: Machine, _ append: String) -> String {
  var line = ""
  for word in machine.commandLine.utf8.split(separator: 0x20) where word.starts(with: "console=".utf8) {
    line += String(Substring(word)) + " "
  }
  return line + "panic=5 nr_cpus=1 reset_devices mcore.target=memory:" + (append.isEmpty ? "" : " " + append)
}
