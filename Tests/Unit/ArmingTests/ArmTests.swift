import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import Arming
@testable import LinuxSystem
@testable import SoftBoot

@Suite(.serialized) struct ArmTests {
  /// The memory of the crash kernel is in no program header of its /proc/vmcore, and not all of it is its RAM
  /// (elfcorehdr= is not).
  @Test func theMemoryOfTheCrashKernelIsNotRecorded() throws {
    let fake = try FakeMachine()
    try fake.write(
      "/proc/iomem",
      "00001000-0009fbff : System RAM\n00100000-7ffdbfff : System RAM\n  01000000-01ffffff : Kernel code\n"
        + "  2f000000-3effffff : Crash kernel\n100000000-13fffffff : System RAM\n  138000000-13fffffff : Crash kernel\n")
    let memory = try ArmRecord(Machine(root: fake.request.root)).memory
    #expect(
      memory.map(\.description) == [
        "0x1000-0x9fbff", "0x100000-0x2effffff", "0x3f000000-0x7ffdbfff", "0x100000000-0x137ffffff",
      ])
  }

  @Test func theImageHoldsWhatTheCrashKernelNeedsToKnow() throws {
    let fake = try FakeMachine()
    let record = try ArmRecord(Machine(root: fake.request.root))
    let plan = try ArmPlan(fake.request, Machine(root: fake.request.root))
    try build(fake.scratch.file("image"), fake.scratch.file("base.img"), plan, plan.normal, record)
    let image = Array(try Data(contentsOf: URL(fileURLWithPath: fake.scratch.file("image"))))
    #expect(Array(image[..<1001]) == noise(1001, seed: 3))
    let unpackedFiles = try unpacked(image, from: 1004)
    #expect(unpackedFiles["etc/mcore.conf"].map { String(decoding: $0, as: UTF8.self) } == "target=memory:\n")
    #expect(
      Set(unpackedFiles.keys).subtracting(["etc", "etc/mcore.conf", "etc/mcore.memory"])
        == ["normal", "cmdline", "vmlinuz", "initrd", "memory-map", "boot-id", "nonce", "boot-cpu"].reduce(into: []) {
          $0.insert($1 == "normal" ? $1 : "normal/" + $1)
        })
    #expect(
      unpackedFiles["etc/mcore.memory"].map { String(decoding: $0, as: UTF8.self) }
        == "1000-9fbff : System RAM\n100000-7ffdbfff : System RAM\n")
    #expect(unpackedFiles["normal/vmlinuz"] == noise(50_001, seed: 1) && unpackedFiles["normal/initrd"] == noise(70_002, seed: 2))
    // As the crash kernel reads it.
    let directory = fake.scratch.file("normal")
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    for (name, bytes) in unpackedFiles where name.hasPrefix("normal/") {
      try Data(bytes).write(to: URL(fileURLWithPath: fake.scratch.file(name)))
    }
    let normal = try NormalKernel(directory)
    #expect(normal.map.usable.map(\.start) == [0, 0x10_0000])
    #expect(normal.identity.bootID.description == "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
    #expect(try ArmRecord(Machine(root: fake.request.root)).armed.nonce != record.armed.nonce)
  }

  /// A unit that arms beside somebody who asks, as when the settings change: the kernel answers neither of
  /// them while the other one is in it.
  @Test func aKernelThatIsBusyIsAskedAgain() throws {
    let fake = try FakeMachine()
    let machine = Machine(root: fake.request.root)
    defer { Faults.set([]) }
    Faults.set([.init(call: .pread, after: 0, errno: 16, times: 3)])
    #expect(machine.crashMemory == 268_435_456)
    // It loads what comes after: this machine has no right to, and that is told.
    Faults.set([
      .init(call: .kexecFileLoad, after: 0, errno: 16, times: 3), .init(call: .kexecFileLoad, after: 0, errno: 1, times: 100),
    ])
    #expect(fake.reason().contains("cannot kexecFileLoad: Operation not permitted"))
    // Not for ever.
    #expect(throws: DumpError(.system(16), "busy")) {
      try System.whileKexecIsBusy(milliseconds: 100) { () throws(DumpError) in throw DumpError(.system(16), "busy") }
    }
  }

  @Test func itSaysWhyItCanNot() throws {
    var fake = try FakeMachine()
    Faults.set([.init(call: .kexecFileLoad, after: 0, errno: 1, times: 100)])
    defer { Faults.set([]) }
    // All is well up to the system call; and nothing stays behind.
    #expect(fake.reason().contains("cannot kexecFileLoad: Operation not permitted"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: fake.request.directory) == [])
    // What was set before, and the crashes before, are not forgotten when a load fails.
    var earlier = try ArmRecord(Machine(root: fake.request.root)).armed
    earlier.sysctls = ["kernel/panic_on_oops=0:1"]
    earlier.crashes = [System.secondsSince1970 - 60]
    try earlier.write(in: fake.request.directory)
    #expect(fake.reason().contains("cannot kexecFileLoad"))
    #expect(ArmedRecord(readFrom: fake.request.directory + "/armed") == earlier)
    #expect(try FileManager.default.contentsOfDirectory(atPath: fake.request.directory) == ["armed"])
    try FileManager.default.removeItem(atPath: fake.request.directory + "/armed")
    try fake.write("/sys/kernel/kexec_crash_size", "40000000\n")
    #expect(fake.reason().contains("38.1 MiB of memory are set aside") && fake.reason().contains("crashkernel="))
    // What is needed is an estimate; none at all is none.
    fake.request.isForced = true
    #expect(fake.reason().contains("cannot kexecFileLoad"))
    try fake.write("/sys/kernel/kexec_crash_size", "0\n")
    #expect(fake.reason().contains("crashkernel="))
    fake.request.isForced = false
    try fake.write("/sys/kernel/kexec_crash_size", "268435456\n")
    try fake.write("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    #expect(fake.reason().contains("locked down (integrity)"))
    try fake.write("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
    try fake.write("/proc/cmdline", String(repeating: "word ", count: 390))
    #expect(fake.reason().contains("bytes for a region"))
    fake.request.base = fake.scratch.file("nothing")
    #expect(fake.reason().contains("make install"))
  }

  /// What was found by trying (docs/soft-boot.md, "Memory for the crash kernel"): never less is asked for
  /// than the smallest crashkernel= that works, in MiB, and not much more.
  @Test(arguments: [
    (14_186_432, 53_968_896, 15_728_232, 208), (11_737_024, 58_580_992, 15_728_248, 200),
    (13_965_248, 63_148_032, 15_727_896, 232),
  ])
  func theCrashKernelGetsWhatItWasSeenToNeed(kernel: UInt64, kernelMemory: UInt64, initrd: UInt64, smallest: UInt64) {
    let needed = CrashMemory(kernelSize: kernel, kernelMemory: kernelMemory, initrdSize: initrd).withNormalKernel
    #expect(needed >= smallest << 20 && needed <= (smallest + 32) << 20)
  }

  @Test func whatAKernelTakesStandsInItsHeader() throws {
    let fake = try FakeMachine()
    var header = [UInt8](repeating: 0, count: 0x264)
    header.replaceSubrange(0x202..<0x208, with: Array("HdrS".utf8) + [0x0f, 0x02])
    header.replaceSubrange(0x260..<0x264, with: [0, 0x10, 0x37, 0x03])
    #expect(bzImageMemory(header) == 0x0337_1000)
    #expect(bzImageMemory(Array(header.dropLast())) == nil)
    header[0x206] = 9
    #expect(bzImageMemory(header) == nil)
    let memory = try CrashMemory(kernel: fake.scratch.file("vmlinuz"), initrd: fake.scratch.file("initrd.img"))
    #expect((memory.kernelSize, memory.kernelMemory, memory.initrdSize) == (50_001, 250_005, 70_002))
    #expect(memory.withNormalKernel == 2 * 120_003 + 2 * 250_005 + 70_002 + CrashMemory.rest)
    var large = memory
    large.machineMemory = 1 << 40
    #expect(large.withNormalKernel == memory.withNormalKernel + 48 << 20 && large.own == memory.own + 48 << 20)
  }

  @Test func whatAKernelOfARM64TakesStandsInItsHeader() throws {
    let fake = try FakeMachine()
    var header = [UInt8](repeating: 0, count: 0x264)
    header.replaceSubrange(16..<24, with: [0, 0, 0xe8, 0x01, 0, 0, 0, 0])
    header.replaceSubrange(56..<60, with: Array("ARMd".utf8))
    #expect(arm64ImageMemory(header) == 0x01e8_0000)
    #expect(bzImageMemory(header) == nil)
    try Data(header).write(to: URL(fileURLWithPath: fake.scratch.file("vmlinuz")))
    let memory = try CrashMemory(kernel: fake.scratch.file("vmlinuz"), initrd: nil)
    #expect((memory.kernelMemory, memory.own) == (0x01e8_0000, 0x01e8_0000 + CrashMemory.rest))
    #expect(arm64ImageMemory([UInt8](repeating: 0, count: 0x264)) == nil)
    #expect(arm64ImageMemory(Array(header.prefix(59))) == nil)
    // Kernels before 3.17 have nothing there.
    header.replaceSubrange(16..<24, with: [UInt8](repeating: 0, count: 8))
    #expect(arm64ImageMemory(header) == nil)
  }

  @Test func statusIsAboutNow() throws {
    let fake = try FakeMachine()
    func status() -> ArmStatus { armStatus(fake.request) }
    #expect(status().problems == ["no crash kernel is loaded: run mcore arm"])
    try fake.write("/sys/kernel/kexec_crash_loaded", "1\n")
    #expect(status().problems == ["the crash kernel that is loaded is not that of mcore: run mcore arm"])
    try FileManager.default.createDirectory(atPath: fake.request.directory, withIntermediateDirectories: false)
    let record = try ArmRecord(Machine(root: fake.request.root))
    try record.armed.text.write(toFile: fake.request.directory + "/armed", atomically: true, encoding: .utf8)
    #expect(status().isCaptured && status().notes.isEmpty)
    // By mcore arm --force, or where the kernel has grown since.
    var forced = record.armed
    (forced.kernel, forced.initrd) = (fake.scratch.file("vmlinuz"), fake.scratch.file("initrd.img"))
    try forced.text.write(toFile: fake.request.directory + "/armed", atomically: true, encoding: .utf8)
    #expect(status().notes.isEmpty)
    try fake.write("/sys/kernel/kexec_crash_size", "41943040\n")
    #expect(status().isCaptured && status().notes[0].contains("has 40.0 MiB of memory, and 4"))
    try fake.write("/sys/kernel/kexec_crash_size", "268435456\n")
    try record.armed.text.write(toFile: fake.request.directory + "/armed", atomically: true, encoding: .utf8)
    let json = try #require(try JSONSerialization.jsonObject(with: Data(status().json.utf8)) as? [String: Any])
    #expect(json["captured"] as? Bool == true && json["way"] as? String == "memory" && json["version"] as? String == "1.0")
    #expect((json["crash_kernel"] as? [String: Any])?["memory_bytes"] as? Int == 268_435_456)

    try fake.write("/sys/devices/system/cpu/online", "1\n")
    try fake.write("/proc/cmdline", "memmap=exactmap mcore.region=0x1200000@0x42400000\n")
    #expect(status().isCaptured && status().notes.count == 2 && status().notes[0].contains("18.0 MiB"))
    // What is RAM again (units/give-back.sh), as 6.1 shows it.
    try fake.write("/proc/cmdline", "memmap=exactmap mcore.region=0x15000000@0x46000000\n")
    #expect(status().notes[0].contains(": 336.0 MiB of memory"))
    let iomem = try String(contentsOfFile: fake.request.root + "/proc/iomem", encoding: .utf8)
    let pmem =
      "46000000-5affffff : Persistent Memory (legacy)\n  48000000-57ffffff : dax0.0\n    48000000-57ffffff : System RAM (kmem)\n"
    try fake.write("/proc/iomem", iomem + pmem)
    #expect(status().notes[0].contains(": 80.0 MiB of memory"))
    #expect(status().isCaptured)
    try fake.write("/proc/iomem", "00100000-7ffdbfff : System RAM\n")
    #expect(status().problems == ["memory was added or removed since: run mcore arm again"])
    try fake.write("/proc/sys/kernel/random/boot_id", "1f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n")
    #expect(status().problems.count == 1 && status().problems[0].contains("earlier boot"))
    try fake.write("/sys/kernel/kexec_crash_size", "0\n")
    #expect(status().problems.count == 1 && status().problems[0].contains("crashkernel=256M"))
  }

  /// A CPU that can't be stopped runs in the kernel that crashed: that memory is no RAM of the next one.
  @Test func whereTheKernelLiesIsKnown() throws {
    let fake = try FakeMachine()
    try fake.write(
      "/proc/iomem",
      "00100000-7ffdbfff : System RAM\n  2b000000-2c0020d6 : Kernel code\n  2c200000-2cd1efff : Kernel rodata\n"
        + "  2ce00000-2d18f73f : Kernel data\n  2d6c6000-2d9fffff : Kernel bss\n")
    let image = PhysicalRange(0x2b00_0000, 0x2da0_0000)
    #expect(try ArmRecord(Machine(root: fake.request.root)).image == image)
    let map = try MemoryMap(record: try Machine(root: fake.request.root).memoryMapRecord(), at: "test")
    let region = try RegionExtents(word: "2M@1G")
    let line = try map.commandLine(region.ranges, parked: [try #require(image)], limit: 2046)
    #expect(line.contains(",42M$688M"))
    let next = try #require(MemoryMap(commandLine: line))
    let start = try #require(image?.start)
    #expect(next.usable.contains { $0.end == start } && !next.usable.contains { $0.contains(start) })
    try fake.write("/proc/cmdline", line + " disable_cpu_apicid=0\n")
    #expect(try ArmRecord(Machine(root: fake.request.root)).image == nil)
  }

  @Test func afterASoftBootTheMapIsThatOfTheCommandLine() throws {
    let fake = try FakeMachine()
    let map = try MemoryMap(
      record: try Machine(root: fake.request.root).memoryMapRecord() + "0xb0000000-0xbfffffff Reserved\n", at: "test")
    let region = try RegionExtents(word: "0x400000@0x20000000,0x200000@0x30000000")
    let line = try map.commandLine(region.ranges, limit: 2046) + " root=/dev/vda1 memmap=2M!1G mcore.region=\(region.text)"
    try fake.write("/proc/cmdline", line + "\n")
    let again = try MemoryMap(record: try Machine(root: fake.request.root).memoryMapRecord(), at: "test")
    #expect(again.usable == map.usable && again.geometry == map.geometry)
    #expect(again.entries.filter { $0.kind == .persistent }.map(\.range) == [PhysicalRange(start: 1 << 30, count: 2 << 20)!])
    #expect(again.entries.filter { $0.kind == .reserved }.count == 1)
  }

  /// A dump that the initramfs saves to a directory which a file system is mounted over later would be hidden
  /// below it.
  @Test func onlyWhatLiesOnTheRootIsRecordedAsThere() throws {
    let fake = try FakeMachine()
    try fake.write(
      "/etc/mcore.conf",
      """
      level=kern target=/var/crash
      target=/srv/dumps  # mounted
      target=/to-srv/dumps target=UUID=1:/crash target=/bind/x target=/net/x
      target=/var/lib/../log target=/loop/x "target=/with blank" target=/my-dumps/x
      """)
    try fake.write("/proc/cmdline", "root=/dev/vda1 mcore.target=/on-demand/x mcore.target=/to-var/crash\n")
    try fake.write(
      "/proc/self/mountinfo",
      "20 1 254:1 / / rw - ext4 /dev/vda1 rw\n21 20 254:2 / /srv rw - ext4 /dev/vda2 rw\n22 20 254:1 /var /bind rw - ext4 /dev/vda1 rw\n"
        + "23 20 0:40 / /on-demand rw - autofs systemd-1 rw\n24 20 254:3 / /my-dumps rw - ext4 /dev/vda3 rw\n")
    // One that comes up after arm, from the network.
    try fake.write("/etc/systemd/system/net.mount", "")
    for (link, target) in [("to-srv", "/srv"), ("loop", "loop"), ("to-var", "./var/lib/..")] {
      try FileManager.default.createSymbolicLink(atPath: fake.request.root + "/" + link, withDestinationPath: target)
    }
    let record = try ArmRecord(Machine(root: fake.request.root)).armed
    #expect(record.pathsOnRoot == ["/var/crash", "/var/lib/../log", "/to-var/crash"])
    try fake.write("/armed", record.text)
    #expect(ArmedRecord(readFrom: fake.request.root + "/armed") == record)
    #expect(mountPoint(ofUnit: #"srv-my\x2ddumps.automount"#) == "/srv/my-dumps")
    #expect(mountPoint(ofUnit: "-.mount") == "//" && mountPoint(ofUnit: "mcore-arm.service") == nil)
    // Where mounts can't be told, nothing is known to be on the root.
    try FileManager.default.removeItem(atPath: fake.request.root + "/proc/self/mountinfo")
    #expect(Machine(root: fake.request.root).dumpPathsOnRoot().isEmpty)
  }
}
