public import DumpBasics
internal import LinuxSystem
internal import SoftBoot

/// A rehearsal that is ready: what is left to do is to restart.
public struct Rehearsal: Sendable {
  public var bytes: UInt64
  /// Where the pattern lies.
  public var place: String
  public var isByReset: Bool
  public var way: String { isByReset ? "a restart through the firmware" : "kexec" }
}

/// Writes a pattern to where a dump would wait, by what was armed, and loads the normal kernel if it is
/// started by kexec. After this only `restartForRehearsal` may follow: until then nothing protects the
/// pattern but that nobody takes huge pages.
public func prepareRehearsal(_ request: ArmRequest, megabytes: Int) throws(DumpError) -> Rehearsal {
  let machine = Machine(root: request.root)
  guard let armed = ArmedRecord(readFrom: "\(request.directory)/armed"), armed.bootID == machine.bootID else {
    throw DumpError(
      .usage, "this machine is not armed, so there is no way to rehearse", at: "\(request.directory)/armed",
      advice: "mcore arm first")
  }
  guard armed.usesMemory else {
    throw DumpError(
      .usage, "this machine is armed for a disk alone, and only the soft boot can be rehearsed", at: "\(request.directory)/armed",
      advice: "write target=memory: behind the other targets, and mcore arm")
  }
  var current = try ArmRecord(machine)
  if let window = armed.window { current.take(window, earlier: armed) }
  let normal = try NormalKernel(
    kernel: armed.kernel, initrd: armed.initrd, commandLine: current.commandLine, memoryMap: current.memoryMap,
    bootID: machine.bootID, nonce: armed.nonce, bootCPU: nil, image: nil, place: request.directory)
  var identity = normal.identity
  identity.release = machine.release
  identity.crashTime = current.armed.time

  let extents: RegionExtents
  let bytes: UInt64
  if let window = armed.window {
    extents = window
    bytes = try writeRehearsal(MachineMemory(window.ranges, waitSeconds: 10), window, identity)
  } else {
    let files = try File(armed.kernel, .read).size() + File(armed.initrd, .read).size()
    let pages = try HugePages(megabytes / 2)
    extents = try rehearsalExtents(pages.addresses, machine.systemRAM, room: files)
    bytes = try writeRehearsal(HugePageMemory(pages), extents, identity)
  }
  // The shutdown is an orderly one, and is not to be counted as a crash.
  try disarm(directory: request.directory)
  if !armed.isByReset { try normal.load(extents) }
  var rehearsed = armed
  rehearsed.time = current.armed.time
  rehearsed.crashes = []
  try RehearsalRecord(rehearsed, bytes: bytes).write(to: "\(request.directory)/rehearsal")
  return Rehearsal(bytes: bytes, place: extents.text, isByReset: armed.isByReset)
}

/// Restarts the machine. Returns where systemd does it.
public func restartForRehearsal(_ rehearsal: Rehearsal) throws(DumpError) {
  if System.kind(of: "/run/systemd/system") != nil {
    let command = Command("systemctl", [rehearsal.isByReset ? "reboot" : "kexec"], output: .collect)
    let result = try System.run(command, limitSeconds: 60)
    if result.end != .exited(0) {
      throw DumpError("systemctl failed: \(printable(result.output))", at: "restart", advice: "restart this machine by hand")
    }
    return
  }
  System.sync()
  System.sync()
  try System.reboot(rehearsal.isByReset ? .restart : .kexec)
}

/// Of huge pages, those that may be the region: at most eight stretches, the longest. A running kernel takes
/// memory for the next one from the top of its RAM (kexec_locate_mem_hole in kernel/kexec_file.c, Linux 6.1),
/// which it does not know to be ours: so none from there. A crash kernel has no such trouble, since there the
/// region is no RAM.
func rehearsalExtents(_ addresses: [UInt64], _ ram: [PhysicalRange], room: UInt64) throws(DumpError) -> RegionExtents {
  let top = ram.map(\.end).max() ?? 0
  // Beside both files: what the kernel unpacks itself to.
  let end = top - min(top, 3 * room + 256 << 20)
  var runs: [PhysicalRange] = []
  let size = UInt64(HugePages.size)
  for address in addresses.sorted() where address + size <= end {
    if let last = runs.last, last.end == address, let longer = PhysicalRange(last.start, address + size) {
      runs[runs.count - 1] = longer
    } else if let run = PhysicalRange(start: address, count: size) {
      runs.append(run)
    }
  }
  runs.sort { ($0.count, $1.start) > ($1.count, $0.start) }
  let chosen = runs.prefix(RegionExtents.limit).sorted { $0.start < $1.start }
  guard !chosen.isEmpty else {
    throw DumpError(
      .full, "no huge page lies far enough from the top of memory, where the next kernel is put", at: "rehearse",
      advice: "try it soon after a boot, or with a larger --size")
  }
  return try RegionExtents(chosen)
}

/// Huge pages as the memory of a region.
private final class HugePageMemory: RegionMemory {
  let name = "huge pages"
  private let pages: HugePages
  private let indices: [UInt64: Int]

  init(_ pages: HugePages) {
    self.pages = pages
    indices = Dictionary(uniqueKeysWithValues: zip(pages.addresses, pages.addresses.indices))
  }

  func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    let (index, offset) = try place(address, buffer.count)
    unsafe pages.read(index, at: offset, into: buffer)
  }

  func write(_ bytes: UnsafeRawBufferPointer, at address: UInt64) throws(DumpError) {
    let (index, offset) = try place(address, bytes.count)
    unsafe try pages.write(bytes, index, at: offset)
  }

  /// What a region reads and writes never crosses one of its units, which are as large as a huge page.
  private func place(_ address: UInt64, _ count: Int) throws(DumpError) -> (Int, Int) {
    let offset = Int(address % UInt64(HugePages.size))
    guard let index = indices[address - UInt64(offset)], offset + count <= HugePages.size else {
      throw DumpError("\(hex(address)) is in no huge page that was taken", at: name)
    }
    return (index, offset)
  }
}
