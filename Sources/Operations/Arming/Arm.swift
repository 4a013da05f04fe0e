internal import Capture
public import DumpBasics
internal import LinuxSystem
internal import SoftBoot

/// How this machine gets ready for its next crash.
public struct ArmRequest: Sendable {
  /// Nil: those of the running kernel in /boot.
  public var kernel: String?
  public var initrd: String?
  /// The start of the crash initramfs: mcore-capture as /init (initramfs/build.sh). Nil: where `make install`
  /// puts it.
  public var base: String?
  /// Where the dump goes, in place of what the settings say.
  public var targets: [String] = []
  /// More words for the crash kernel's command line.
  public var append = ""
  /// Memory that was set aside for the dump, as `memory:` has it (SIZE@ADDRESS). Nil: what is free when the
  /// kernel crashes.
  public var window: String?
  /// Whether the crash kernel restarts the machine through its firmware, which has to leave memory alone, in
  /// place of starting the normal kernel itself. Only with a window.
  public var isByReset = false
  /// Also where crashes came one after the other, and where the crash kernel has less memory than is known to
  /// be enough.
  public var isForced = false
  /// Where the crash initramfs and the record go.
  public var directory = "/var/lib/mcore"
  /// In place of / for what is read from /proc and /sys: for tests.
  package var root = ""
  /// In place of the kernel's network configuration: for tests.
  var asks: NetworkRecorder.Asks?

  public init() {}
}

/// What was loaded.
public struct Armed: Sendable {
  public var kernel: String
  /// Of the normal kernel that it starts; empty where it starts none.
  public var initrd: String
  /// Bytes of the crash initramfs.
  public var imageSize: UInt64
  /// Bytes that `crashkernel=` set aside, and how many are needed by what is known.
  public var crashMemory: UInt64
  public var neededMemory: UInt64
  /// A line for each target: where it goes, or why it can't be reached.
  public var targets: [String]
  /// Triggers that could not be set, hooks that are left out.
  public var warnings: [String] = []
}

/// Builds the crash initramfs from this machine and loads the crash kernel: a panic from now on is captured.
/// Where this throws before anything was loaded, what was armed before stays armed.
public func arm(_ request: ArmRequest) throws(DumpError) -> Armed {
  if try System.mkdir(request.directory, mode: 0o700) { try? System.synchronizeDirectory(request.directory) }
  return try alone(in: request.directory) { () throws(DumpError) in try armAlone(request) }
}

/// Arming and disarming wait for one another: a changed configuration arms by itself, while somebody does it
/// by hand.
private func alone<Result>(in directory: String, _ body: () throws(DumpError) -> Result) throws(DumpError) -> Result {
  guard System.kind(of: directory) == .directory else { return try body() }
  let lock = try File(directory, .read)
  guard lock.lock(milliseconds: 180_000) else {
    throw DumpError(
      "another mcore arm or disarm has been at work for three minutes", at: directory, advice: "see what it waits for")
  }
  defer { extendLifetime(lock) }
  return try body()
}

private func armAlone(_ request: ArmRequest) throws(DumpError) -> Armed {
  let machine = Machine(root: request.root)
  let path = "\(request.directory)/armed"
  let earlier = ArmedRecord(readFrom: path)
  let loop = CrashLoop(earlier, bootID: machine.bootID, now: System.secondsSince1970)
  if loop.isLoop, !request.isForced {
    throw loop.refusal(at: path)
  }
  let base = try existing(
    request.base.map { [$0] } ?? ["/usr/local/lib/mcore/crash-base.img", "/usr/lib/mcore/crash-base.img"],
    "the start of the crash initramfs", "run make install, or name it with --base")
  let plan = try ArmPlan(request, machine)
  try plan.requireSomething()
  var armed = Armed(
    kernel: try crashKernel(request, machine), initrd: plan.normal?.initrd ?? "", imageSize: 0, crashMemory: machine.crashMemory,
    neededMemory: plan.neededMemory, targets: plan.lines)
  // What is needed was found by trying, on some machines: elsewhere less may do.
  guard armed.crashMemory >= armed.neededMemory || request.isForced && armed.crashMemory > 0 else {
    throw DumpError(
      .full,
      "\(humanBytes(armed.crashMemory)) of memory are set aside for a crash kernel, and \(humanBytes(armed.neededMemory)) are needed",
      at: "crashkernel=",
      advice: "put crashkernel=\(megabytes(armed.neededMemory))M on the kernel command line and reboot"
        + (armed.crashMemory > 0 ? ", or mcore arm --force if you know better" : ""))
  }
  var record = try ArmRecord(machine, needsMap: plan.usesMemory)
  record.armed.crashes = loop.crashes
  let windows = plan.reachable.first { $0.isMemory }?.memoryWindows
  let window = try windows.map { (word) throws(DumpError) in try setAside(word, machine) }
  record.armed.isByReset = request.isByReset
  (record.armed.kernel, record.armed.initrd) = (armed.kernel, armed.initrd)
  record.armed.targets = plan.reachable.compactMap(\.crashWord).map(shownTarget)
  record.armed.neededMemory = plan.neededMemory
  if let window { record.take(window, earlier: earlier) }
  if plan.normal?.initrd.isEmpty == false, !request.isByReset { try requireRoomForMap(record) }

  let image = "\(request.directory)/crash.img"
  // It is in the crash kernel's memory in the end.
  defer { try? System.unlink(image) }
  try build(image, base, plan, request.isByReset ? nil : plan.normal, record)
  armed.imageSize = try File(image, .read).size()
  guard armed.imageSize > (try File(base, .read).size()) else {
    throw DumpError("the crash initramfs was changed while it was made", at: image, advice: "mcore arm makes it anew")
  }
  let setBefore = earlier.map { Sysctl.ofBoot(machine, $0) } ?? []
  record.armed.sysctls = setBefore.map(\.word)
  let append = [plan.running.append, request.append].filter { !$0.isEmpty }.joined(separator: " ")
  // The record is on the disk before anything is loaded: a disk that is full changes nothing. What is set on
  // this system stands in it all the time, so that it can be put back.
  try record.armed.write(in: request.directory)
  do throws(DumpError) {
    try ArmedRecord.writeNetwork(plan.network, request.directory)
    if System.isKernelLoaded(.crash) { try? unloadCrashKernel() }
    try loadCrashKernel(armed.kernel, initrd: image, commandLine: crashCommandLine(machine, plan.processors, append))
  } catch {
    // Nothing is loaded now. What was set, and the crashes before, are not forgotten.
    if let earlier { try? earlier.write(in: request.directory) } else { try? System.unlink(path) }
    throw error
  }
  let sysctls = machine.set(plan.running.panicOn, earlier: setBefore)
  record.armed.sysctls = sysctls.set.map(\.word)
  armed.warnings = sysctls.problems.map { "panic-on: \($0)" } + plan.warnings + [plan.processors.warning].compactMap(\.self)
  do throws(DumpError) { try record.armed.write(in: request.directory) } catch {
    machine.putBack(sysctls.set.filter { !setBefore.contains($0) })
    armed.warnings.append("panic-on: nothing new is set, since it can't be put down: \(error)")
  }
  return armed
}

/// The system goes down in order: what follows is no crash. The crash kernel stays, for a crash on the way
/// down.
public func endInOrder(directory: String = ArmRequest().directory) throws(DumpError) {
  try alone(in: directory) { () throws(DumpError) in
    guard var record = ArmedRecord(readFrom: "\(directory)/armed") else { return }
    record.isEnded = true
    record.crashes = []
    try record.write(in: directory)
  }
}

/// Takes the crash kernel back, and what was recorded for it.
public func disarm(directory: String = ArmRequest().directory) throws(DumpError) {
  try alone(in: directory) { () throws(DumpError) in try disarmAlone(directory) }
}

private func disarmAlone(_ directory: String) throws(DumpError) {
  if let record = ArmedRecord(readFrom: "\(directory)/armed") {
    let machine = Machine()
    machine.putBack(Sysctl.ofBoot(machine, record))
  }
  for name in ["armed", "crash.img", "network"] where System.kind(of: "\(directory)/\(name)") != nil {
    try System.unlink("\(directory)/\(name)")
  }
  if System.isKernelLoaded(.crash) { try unloadCrashKernel() }
}

private func existing(_ paths: some Sequence<String>, _ what: String, _ advice: String) throws(DumpError) -> String {
  var first = ""
  for path in paths {
    if System.kind(of: path) == .regular { return path }
    if first.isEmpty { first = path }
  }
  throw DumpError(.usage, "\(what) is not there", at: first, advice: advice)
}

/// The kernel that runs now, which is started for the next crash too.
func crashKernel(_ request: ArmRequest, _ machine: Machine) throws(DumpError) -> String {
  let release = machine.release
  return try existing(
    (request.kernel.map { [$0] } ?? ["/boot/vmlinuz-\(release)", "/lib/modules/\(release)/vmlinuz"]),
    "the running kernel's file", "name it with --kernel")
}

/// What `crashkernel=` has to set aside for the soft boot, in bytes.
func neededMemory(_ normal: NormalFiles, isByReset: Bool, _ machine: Machine) throws(DumpError) -> UInt64 {
  var memory = try CrashMemory(kernel: normal.kernel, initrd: isByReset ? nil : normal.initrd)
  memory.machineMemory = machine.memory
  return isByReset ? memory.own : memory.withNormalKernel
}

/// What the boot loader starts.
struct NormalFiles {
  var kernel: String
  var initrd: String
}

func normalFiles(_ request: ArmRequest, _ machine: Machine) throws(DumpError) -> NormalFiles {
  let release = machine.release
  let kernel = try crashKernel(request, machine)
  // A restart through the firmware finds it by itself.
  if request.isByReset, request.initrd == nil { return NormalFiles(kernel: kernel, initrd: "") }
  let initrd = try existing(
    [request.initrd ?? "/boot/initrd.img-\(release)", "/boot/initramfs-\(release).img"].prefix(request.initrd == nil ? 2 : 1),
    "its initramfs", "name it with --initrd")
  return NormalFiles(kernel: kernel, initrd: initrd)
}

/// The window, which the running kernel has to leave alone.
func setAside(_ word: String, _ machine: Machine) throws(DumpError) -> RegionExtents {
  let window = try RegionExtents(word: word)
  let ram = machine.systemRAM
  for range in window.ranges {
    guard RangeSet.subtracting(ram, from: range) == [range] else {
      throw DumpError(
        .usage, "the running kernel uses this memory", at: "window \(range)",
        advice: "put memmap=\(hex(range.count))!\(hex(range.start)) on the kernel command line and reboot")
    }
  }
  return window
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

/// Words of the running kernel's command line that say how to treat this machine's hardware: a crash kernel
/// that does not know them may not come up, or not find its disk. Options of modules go with the modules.
private let hardwareWords = [
  "console=", "pci=", "pcie_", "noapic", "apic=", "nolapic", "iommu=", "intel_iommu=", "amd_iommu=", "acpi=", "acpi_",
  "irqpoll", "efi=", "noefi", "mem_encrypt=", "clocksource=", "tsc=", "libata.", "nvme.", "nvme_core.", "scsi_mod.", "xen_",
]

/// Consoles and what is said of the hardware, as they are now. Memory that was hot-added would be taken for
/// free memory, and written to (acpi_no_memhotplug).
func crashCommandLine(_ machine: Machine, _ processors: CrashProcessors, _ append: String) -> String {
  var line = ""
  for word in machine.commandLine.utf8.split(separator: 0x20)
  where hardwareWords.contains(where: { word.starts(with: $0.utf8) }) && !word.elementsEqual("acpi_no_memhotplug".utf8) {
    line += String(Substring(word)) + " "
  }
  return line + "panic=5 \(processors.words) reset_devices acpi_no_memhotplug" + (append.isEmpty ? "" : " " + append)
}
