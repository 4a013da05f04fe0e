internal import DumpBasics
internal import LinuxSystem

/// The CPUs of the crash kernel: as many as its memory holds, and none whose start can reset the machine.
struct CrashProcessors: Equatable {
  var count = 1
  /// The CPU that firmware started, where the crash kernel has to leave it alone.
  var disabled: UInt32?
  /// Why there are fewer than the settings want.
  var warning: String?

  /// Memory that a further CPU takes, in bytes: a thread of mcore-capture with elf.zst (3.8 MiB,
  /// docs/performance.md), the kernel's own for each CPU.
  static let memory: UInt64 = 6 << 20
  /// Without `cpus=`. Drivers make a queue for each CPU, and nobody can tell how much memory that takes.
  static let automatic = 8

  /// `wanted` is 0 for as many as there is room for. `spare` is memory of the crash kernel beyond what it
  /// needs with one CPU: half of that is taken.
  init(wanted: Int, _ machine: Machine, spare: UInt64) {
    let online = machine.onlineCPUs
    let roomFor = 1 + Int(clamping: spare / 2 / CrashProcessors.memory)
    count = max(1, min(online, wanted > 0 ? wanted : min(CrashProcessors.automatic, roomFor)))
    if wanted > online { warning = "cpus=\(wanted): this machine has \(online)" }
    if count == 1 || machine.startsNoBootCPU { return }
    // An INIT to the boot CPU resets many machines. From 6.9 on a crash kernel leaves it alone by itself
    // (topology.c).
    guard let boot = machine.bootCPU else {
      count = 1
      if wanted > 1 {
        warning = "cpus=\(wanted): the CPU that firmware started is not known, and a kernel before 6.9 must not start it: one CPU"
      }
      return
    }
    disabled = boot
  }

  /// For the command line.
  var words: String { "nr_cpus=\(count)" + (disabled.map { " disable_cpu_apicid=\($0)" } ?? "") }
}

extension Machine {
  /// At least one.
  var onlineCPUs: Int {
    let list = line("/sys/devices/system/cpu/online") ?? ""
    let count = list.utf8.split(separator: 0x2c).reduce(0) { sum, part in
      let ends = part.split(separator: 0x2d).map { Int(String(Substring($0))) ?? 0 }
      guard let first = ends.first, let last = ends.last, first >= 0, last >= first, last < 1 << 16 else { return sum }
      return sum + last - first + 1
    }
    return max(1, count)
  }

  /// Linux 6.9 and later.
  fileprivate var startsNoBootCPU: Bool {
    let numbers = release.utf8.split(separator: 0x2e, maxSplits: 2).prefix(2).map { part in
      Int(String(Substring(part.prefix { (0x30...0x39).contains($0) }))) ?? 0
    }
    return numbers.count == 2 && (numbers[0], numbers[1]) >= (6, 9)
  }
}
