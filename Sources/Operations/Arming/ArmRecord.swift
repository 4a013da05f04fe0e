internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem
internal import SoftBoot

/// All that the crash kernel is told of this machine, and what of it stays here.
struct ArmRecord {
  /// What stays in `/var/lib/mcore/armed`.
  var armed: ArmedRecord
  /// Only in the crash initramfs.
  var commandLine = ""
  var memoryMap = ""
  /// All RAM of the running kernel.
  var memory: [PhysicalRange] = []
  /// APIC id of the CPU that firmware started; nil where there is none.
  var bootCPU: UInt32?
  /// Where the running kernel lies; nil where the boot CPU is not in it.
  var image: PhysicalRange?

  /// Of the machine as it is now, with a nonce that nobody had before. Its memory map is for the soft boot
  /// alone.
  init(_ machine: Machine, needsMap: Bool = true) throws(DumpError) {
    armed = ArmedRecord(
      time: System.secondsSince1970, release: machine.release, bootID: machine.bootID,
      nonce: try RegionID.random().description, memory: machine.memory)
    armed.pathsOnRoot = machine.dumpPathsOnRoot()
    commandLine = machine.commandLine
    memoryMap = needsMap ? try machine.memoryMapRecord() : ""
    memory = machine.dumpedRAM
    bootCPU = machine.bootCPU
    // One that an earlier soft boot left off is still in the kernel that crashed then, and the map says so.
    if machine.word("disable_cpu_apicid=") == nil { image = machine.kernelImage }
  }

  /// With memory that was set aside for the dump.
  mutating func take(_ window: RegionExtents, earlier: ArmedRecord?) {
    armed.window = window
    // A dump that nobody saved yet may wait there: by a new nonce it would not be known any more.
    if let earlier, earlier.window == window { armed.nonce = earlier.nonce }
    // In a system that a soft boot has started these words went with the rebuilt map.
    var words = NormalKernel.lastingWords(commandLine)
    let window = window.ranges.map { "memmap=\(hex($0.count))!\(hex($0.start))" }
    if MemoryMap(commandLine: commandLine) != nil { words += window }
    commandLine = words.joined(separator: " ")
  }
}

extension ArmedRecord {
  /// Puts it in place of the last one. It is on the disk when this returns: a crash may come at any time now.
  func write(in directory: String) throws(DumpError) {
    try System.replaceFile("\(directory)/armed", with: Array(text.utf8))
  }
}

extension ArmedRecord {
  /// How the first of the targets that need no normal kernel is reached: `disk`, `network`; else `memory`.
  var way: String {
    guard let word = targets.first(where: { !$0.utf8.starts(with: "memory:".utf8) }) else { return "memory" }
    return (try? TargetSpec(word))?.host == nil ? "disk" : "network"
  }

  /// The network that the crash kernel was told of lies beside the record.
  static func writeNetwork(_ network: NetworkRecord?, _ directory: String) throws(DumpError) {
    let path = "\(directory)/network"
    if let network { return try System.replaceFile(path, with: Array(network.text().utf8)) }
    if System.kind(of: path) != nil { try System.unlink(path) }
  }

  /// Whether it is still that one; true where none was armed.
  func isNetwork(_ text: String, _ directory: String) -> Bool {
    (try? System.text(of: "\(directory)/network")).map { $0 == text } ?? true
  }
}

extension Machine {
  /// Bytes of RAM that this kernel has.
  var memory: UInt64 { systemRAM.reduce(0) { $0 + $1.count } }

  /// Code, data and page tables of the running kernel: all that /proc/iomem calls "Kernel ..."
  /// (arch/x86/kernel/setup.c).
  var kernelImage: PhysicalRange? {
    let parts = innerMemory(["Kernel code", "Kernel rodata", "Kernel data", "Kernel bss"])
    guard let start = parts.map(\.start).min(), let end = parts.map(\.end).max() else { return nil }
    return PhysicalRange(start & ~4095, (end + 4095) & ~4095)
  }

  /// Of memory that was set aside, what is RAM again (drivers/dax/kmem.c names it so).
  var returnedRAM: [PhysicalRange] { innerMemory(["System RAM (kmem)"]) }

  /// What program headers of a crash kernel's /proc/vmcore describe: all RAM but what is set aside for it.
  var dumpedRAM: [PhysicalRange] {
    let crash = innerMemory(["Crash kernel"])
    return RangeSet.joined(systemRAM + returnedRAM + pluggedRAM).flatMap { RangeSet.subtracting(crash, from: $0) }
  }

  /// What the hypervisor gave by and by (drivers/virtio/virtio_mem.c names it so).
  var pluggedRAM: [PhysicalRange] { innerMemory(["System RAM (virtio_mem)"]) }

  /// All of these kinds in /proc/iomem, at any depth.
  private func innerMemory(_ kinds: [String]) -> [PhysicalRange] {
    guard let iomem = try? text("/proc/iomem") else { return [] }
    var inner = ""
    for line in iomem.utf8.split(separator: 0x0a) { inner += String(Substring(line.drop { $0 == 0x20 })) + "\n" }
    return kinds.flatMap { occupiedMemory(iomem: inner, kind: $0) ?? [] }
  }

  /// RAM that this kernel has.
  var systemRAM: [PhysicalRange] {
    (try? text("/proc/iomem")).flatMap { occupiedMemory(iomem: $0, kind: "System RAM") } ?? []
  }
}
