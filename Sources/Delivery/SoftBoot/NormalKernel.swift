public import DumpBasics
internal import LinuxSystem

/// What a crash initramfs holds of the normal system, so that it can start it again: a directory with
///
///     vmlinuz, initrd    what the boot loader starts
///     cmdline            its command line
///     memory-map         the machine's memory map (`MemoryMap`)
///     boot-id            /proc/sys/kernel/random/boot_id of the boot that may crash
///     nonce              drawn when the crash kernel was loaded
///     boot-cpu           APIC id of the CPU that firmware started; may be missing
///     kernel-image       where the kernel lies that may crash, as a line of the memory map; optional
public struct NormalKernel: Sendable {
  public static let standardDirectory = "/normal"
  /// COMMAND_LINE_SIZE of x86 is 2048 (arch/x86/include/asm/setup.h); a bzImage claims one less, and its
  /// loader counts the NUL (bzImage64_load in arch/x86/kernel/kexec-bzimage64.c, Linux 6.1).
  static let commandLineLimit = 2046
  /// Words that belong to one boot alone: where an earlier region lay, and the map that it was left out of.
  private static let dropped = ["mcore.region=", "mcore.nonce=", "memmap=exactmap", "disable_cpu_apicid="]

  public let map: MemoryMap
  /// Boot id, nonce and geometry of what is written for it.
  public let identity: RegionIdentity
  private let kernel: String
  private let initrd: String
  private let words: [String]
  private var parked: ParkedProcessor?

  /// As a crash initramfs has it.
  public init(_ directory: String) throws(DumpError) {
    func text(_ name: String) throws(DumpError) -> String { try System.text(of: "\(directory)/\(name)", limit: 1 << 16) }
    let bootCPU = (try? text("boot-cpu")).flatMap { UInt32(String(Substring($0.utf8.prefix { $0 > 0x20 }))) }
    try self.init(
      kernel: "\(directory)/vmlinuz", initrd: "\(directory)/initrd", commandLine: try text("cmdline"),
      memoryMap: try text("memory-map"), bootID: try text("boot-id"), nonce: try text("nonce"), bootCPU: bootCPU,
      image: (try? text("kernel-image")).flatMap { MemoryMap.range($0.utf8.prefix { $0 > 0x20 }) }, place: directory)
  }

  /// What the files of the directory hold, one by one; `place` is where they are from.
  public init(
    kernel: String, initrd: String, commandLine: String, memoryMap: String, bootID: String, nonce: String, bootCPU: UInt32?,
    image: PhysicalRange?, place: String
  ) throws(DumpError) {
    (self.kernel, self.initrd) = (kernel, initrd)
    func name(_ text: String, _ file: String) throws(DumpError) -> RegionID {
      guard let id = RegionID(String(Substring(text.utf8.prefix { $0 > 0x20 }))), id != .none else {
        throw DumpError("no 32 hexadecimal digits", at: "\(place)/\(file)")
      }
      return id
    }
    map = try MemoryMap(record: memoryMap, at: "\(place)/memory-map")
    var words = NormalKernel.lastingWords(commandLine)
    // An INIT to the CPU that firmware started resets the machine, and below 6.9 a kernel that runs on
    // another one sends it. Later kernels leave that CPU alone by themselves (arch/x86/kernel/cpu/topology.c)
    // and do not know the word.
    if let bootCPU, let current = firstAPICID(cpuinfo: (try? System.text(of: "/proc/cpuinfo")) ?? ""), bootCPU != current {
      words.append("disable_cpu_apicid=\(bootCPU)")
      parked = image.map { ParkedProcessor(image: $0) }
    }
    self.words = words
    var identity = RegionIdentity()
    identity.nonce = try name(nonce, "nonce")
    identity.bootID = try name(bootID, "boot-id")
    identity.geometry = map.geometry
    self.identity = identity
  }

  /// Whether it can be started from here. Where the machine restarts through its firmware there is only what
  /// a region needs to be known by.
  public var isThere: Bool { System.kind(of: kernel) != nil }

  /// Whether a CPU stays in the kernel that crashed: its first one, which firmware started.
  public var parksCPU: Bool { parked != nil }

  /// What is known of that CPU: where its page tables begin, and the instruction behind its HLT.
  public mutating func park(topTable: PhysicalRange?, behindHalt: PhysicalAddress?) {
    parked?.topTable = topTable
    parked?.behindHalt = behindHalt
  }

  /// To be called right before it is started, when nothing of the crashed kernel is read any more.
  public func holdParkedCPU(_ memory: any RegionMemory) throws(DumpError) { try parked?.holdInHalt(memory) }

  /// The words of a kernel command line that hold for the next boot as well.
  public static func lastingWords(_ commandLine: String) -> [String] {
    let words = commandLine.utf8.split(whereSeparator: { $0 <= 0x20 }).map { String(Substring($0)) }
    let isRebuilt = words.contains("memmap=exactmap")
    return words.filter { word in
      // With exactmap all others are of the rebuilt map: what an administrator had set aside is in the
      // recorded one.
      if isRebuilt, word.utf8.starts(with: "memmap=".utf8) { return false }
      return !dropped.contains { word.utf8.starts(with: $0.utf8) }
    }
  }

  /// Its command line, with the region set aside and named.
  func commandLine(_ region: RegionExtents) throws(DumpError) -> String {
    var rest = ""
    for word in words { rest += " " + word }
    rest += " mcore.region=\(region.text) mcore.nonce=\(identity.nonce)"
    let limit = NormalKernel.commandLineLimit - rest.utf8.count
    // First: exactmap takes back what memmap= words before it said.
    return try map.commandLine(region.ranges, parked: parked?.memory ?? [], limit: limit) + rest
  }

  /// Loads it by kexec_file_load(2) in place of one that is loaded; a reboot by kexec starts it.
  public func load(_ region: RegionExtents) throws(DumpError) {
    let line = try commandLine(region)
    // Beside the old one there might be no room.
    if System.isKernelLoaded(.next) { try System.unloadKernel(.next) }
    try System.loadKernel(kernel, initrd: initrd, commandLine: line, .next)
  }
}

/// The APIC id of the first CPU in /proc/cpuinfo: the one that the running kernel was started on.
public func firstAPICID(cpuinfo: String) -> UInt32? {
  for line in cpuinfo.utf8.split(separator: 0x0a) where line.starts(with: "apicid".utf8) {
    guard let colon = line.firstIndex(of: 0x3a) else { return nil }
    return UInt32(String(Substring(line[colon...].dropFirst(2))))
  }
  return nil
}

extension NormalKernel {
  /// Bytes that a region may take on the normal kernel's command line (none where it is negative), by this
  /// map and this command line of the normal boot.
  public static func room(for map: MemoryMap, commandLine: String) -> Int {
    var rest = " mcore.region= mcore.nonce=\(RegionID.none)"
    for word in lastingWords(commandLine) { rest += " " + word }
    return commandLineLimit - rest.utf8.count - map.words([]).needed.utf8.count
  }
}
