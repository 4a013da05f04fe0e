internal import DumpBasics
internal import LinuxSystem
internal import SoftBoot

/// What `arm` leaves behind of itself, in `/var/lib/mcore/armed`: lines `key value`.
struct ArmRecord {
  var time: Int64
  var release: String
  var bootID: String
  var nonce: String
  /// Bytes of RAM that the kernel had.
  var memory: UInt64
  /// Only in the crash initramfs.
  var commandLine = ""
  var memoryMap = ""
  /// APIC id of the CPU that firmware started; nil where there is none.
  var bootCPU: UInt32?

  /// Of the machine as it is now, with a nonce that nobody had before.
  init(_ machine: Machine) throws(DumpError) {
    time = System.secondsSince1970
    release = machine.release
    bootID = machine.bootID
    nonce = try RegionID.random().description
    memory = machine.memory
    commandLine = machine.commandLine
    memoryMap = try machine.memoryMapRecord()
    bootCPU = machine.bootCPU
  }

  /// Nil where there is none, or none that is understood.
  init?(readFrom path: String) {
    guard let text = try? System.text(of: path, limit: 4096) else { return nil }
    var values: [String: String] = [:]
    for line in text.utf8.split(separator: 0x0a) {
      let parts = line.split(separator: 0x20, maxSplits: 1)
      if parts.count == 2 { values[String(Substring(parts[0]))] = String(Substring(parts[1])) }
    }
    guard let time = values["time"].flatMap({ Int64($0) }), let release = values["release"], let bootID = values["boot-id"],
      let nonce = values["nonce"], let memory = values["memory"].flatMap({ UInt64($0) })
    else { return nil }
    (self.time, self.release, self.bootID, self.nonce, self.memory) = (time, release, bootID, nonce, memory)
  }

  var text: String {
    "time \(time)\nrelease \(release)\nboot-id \(bootID)\nnonce \(nonce)\nmemory \(memory)\n"
  }
}

extension Machine {
  /// Bytes of RAM that this kernel has.
  var memory: UInt64 {
    guard let iomem = try? text("/proc/iomem"), let ranges = occupiedMemory(iomem: iomem, kind: "System RAM") else { return 0 }
    return ranges.reduce(0) { $0 + $1.count }
  }
}
