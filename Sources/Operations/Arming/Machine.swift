internal import DumpBasics
internal import LinuxSystem
internal import SoftBoot

/// What this machine says of itself, under /proc and /sys. Tests have a directory in place of the root.
struct Machine {
  var root = ""

  /// - Throws: also where the file is longer than anything of that kind: what is cut would be taken for all.
  func text(_ path: String) throws(DumpError) -> String {
    let limit = 4 << 20
    let text = try System.text(of: root + path, limit: limit)
    guard text.utf8.count < limit else { throw DumpError("longer than \(humanBytes(UInt64(limit)))", at: path) }
    return text
  }

  /// Without the newline at its end; nil where it can't be read.
  func line(_ path: String) -> String? {
    (try? text(path)).map(Machine.firstLine)
  }

  private static func firstLine(_ text: String) -> String { String(Substring(text.utf8.prefix { $0 != 0x0a })) }

  func number(_ path: String) -> UInt64? { line(path).flatMap { UInt64($0) } }

  var release: String { line("/proc/sys/kernel/osrelease") ?? "unknown" }
  var bootID: String { line("/proc/sys/kernel/random/boot_id") ?? "" }
  var commandLine: String { line("/proc/cmdline") ?? "" }
  /// What stands behind `key`, which ends with its `=`, on the kernel command line: the first such word's.
  func word(_ key: String) -> String? {
    let word = commandLine.utf8.split(separator: 0x20).first { $0.starts(with: key.utf8) }
    return word.map { String(Substring($0.dropFirst(key.utf8.count))) }
  }

  /// Memory that `crashkernel=` set aside, in bytes. The kernel does not tell while one is being loaded.
  var crashMemory: UInt64 {
    let path = "/sys/kernel/kexec_crash_size"
    let told = try? System.whileKexecIsBusy { () throws(DumpError) -> String in try text(path) }
    return told.map(Machine.firstLine).flatMap { UInt64($0) } ?? 0
  }
  var isCrashKernelLoaded: Bool { line("/sys/kernel/kexec_crash_loaded") == "1" }

  /// Whether the kernel keeps what it tells a crash kernel of memory up to date by itself (Linux 6.8).
  var keepsCrashMap: Bool { line("/sys/devices/system/memory/crash_hotplug") == "1" }

  /// The CPU that firmware started. A kernel that a soft boot started runs on another one, and its command
  /// line names it.
  var bootCPU: UInt32? {
    if let word = word("disable_cpu_apicid=") { return UInt32(word) }
    return (try? text("/proc/cpuinfo")).flatMap { firstAPICID(cpuinfo: $0) }
  }

  /// `none`, `integrity` or `confidentiality`: what stands in brackets.
  var lockdown: String {
    guard let text = line("/sys/kernel/security/lockdown"), let open = text.utf8.firstIndex(of: 0x5b),
      let close = text.utf8.firstIndex(of: 0x5d), open < close
    else { return "none" }
    return String(text[text.index(after: open)..<close])
  }

  /// The memory map as `MemoryMap(record:)` takes it. A kernel that a soft boot started has another one than
  /// its machine under /sys/firmware/memmap: there the command line has it.
  func memoryMapRecord() throws(DumpError) -> String {
    if let map = MemoryMap(commandLine: commandLine) { return map.record }
    let directory = "/sys/firmware/memmap"
    var record = ""
    for name in try System.names(in: root + directory) {
      guard let start = line("\(directory)/\(name)/start"), let end = line("\(directory)/\(name)/end"),
        let type = line("\(directory)/\(name)/type")
      else { throw DumpError("not a memory map", at: "\(directory)/\(name)") }
      record += "\(start)-\(end) \(type)\n"
    }
    return record
  }
}
