import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import Arming
@testable import LinuxSystem
@testable import SoftBoot

/// What `mcore status` says of targets, of other programs and of the kernel.
@Suite(.serialized) struct StatusTests {
  private let fake: FakeMachine

  init() throws {
    var fake = try FakeMachine()
    fake.request.targets = []
    self.fake = fake
    try fake.write("/sys/kernel/kexec_crash_loaded", "1\n")
    try fake.write("/etc/mcore.conf", "target=/var/crash target=memory:")
    try fake.write("/var/crash/x", "")
    try fake.write("/proc/meminfo", "MemTotal: 3000 kB\nMemFree: 600 kB\nCached: 1000 kB\nShmem: 100 kB\nAnonPages: 200 kB\n")
    try fake.write("/lib/modules/6.1.0-test/modules.dep", "k/virtio_blk.ko:\n")
    try fake.write("/proc/filesystems", "nodev\ttmpfs\n\text4\n")
    try fake.write("/proc/self/mountinfo", "20 1 254:1 / / rw - ext4 /dev/vda1 rw\n")
    try fake.write("/sys/devices/pci0/block/vda1/size", "1")
    try FileManager.default.createDirectory(atPath: fake.request.root + "/sys/dev/block", withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      atPath: fake.request.root + "/sys/dev/block/254:1", withDestinationPath: "../../devices/pci0/block/vda1")
    try FileManager.default.createDirectory(atPath: fake.request.directory, withIntermediateDirectories: false)
    var record = try ArmRecord(Machine(root: fake.request.root)).armed
    record.targets = ["/dev/vda1:/var/crash", "memory:"]
    record.time = System.secondsSince1970 + 5
    (record.kernel, record.initrd) = (fake.scratch.file("vmlinuz"), fake.scratch.file("initrd.img"))
    try record.text.write(toFile: fake.request.directory + "/armed", atomically: true, encoding: .utf8)
  }

  @Test func theNewestDumpIsTold() throws {
    #expect(armStatus(fake.request).lastDump == nil && armStatus(fake.request).json.contains("\"last_dump\": null"))
    for name in ["2026-11-23T02-51-07Z-6.1", "2026-11-25T02-51-07Z-6.1.incomplete", "2026-11-24T02-51-07Z-6.1", "zz"] {
      try fake.write("/var/crash/\(name)/dmesg.txt", "x")
    }
    let status = armStatus(fake.request)
    #expect(status.lastDump?.path.hasSuffix("2026-11-25T02-51-07Z-6.1.incomplete") == true)
    #expect(status.text.contains("last dump: 2026-11-25T02:51:07Z, writing or cut, "), "\(status.text)")
    #expect(status.metrics.contains("\nmcore_last_dump_whole 0\n"))
    #expect(status.json.contains("\"status\": \"writing or cut\""))
  }

  @Test func targetsAreTried() throws {
    let status = armStatus(fake.request)
    #expect(status.isCaptured && status.notes.isEmpty && status.targets.count == 2, "\(status.text)")
    let disk = status.targets[0]
    #expect(disk.isTried && disk.isUsable && disk.free ?? 0 > 0 && disk.estimate == 1300 << 10 / 3)
    #expect(try FileManager.default.contentsOfDirectory(atPath: fake.request.root + "/var/crash") == ["x"])
    #expect(!armStatus(fake.request, probes: false).targets[0].isTried)
    // The disk is full: memory: is left.
    Faults.set([.init(call: .write, after: 0, errno: 28, times: 100)])
    let full = armStatus(fake.request)
    Faults.set([])
    #expect(full.isCaptured && full.targets[0].text.contains("No space left") && !full.targets[0].isUsable)
    #expect(try FileManager.default.contentsOfDirectory(atPath: fake.request.root + "/var/crash") == ["x"])
    // And without it nothing is.
    var record = try #require(ArmedRecord(readFrom: fake.request.directory + "/armed"))
    record.targets = ["/dev/vda1:/var/crash"]
    try record.text.write(toFile: fake.request.directory + "/armed", atomically: true, encoding: .utf8)
    try fake.write("/etc/mcore.conf", "target=/var/crash")
    Faults.set([.init(call: .write, after: 0, errno: 28, times: 100)])
    let none = armStatus(fake.request)
    Faults.set([])
    #expect(none.problems == ["none of the targets that are armed can take a dump"])
  }

  /// The disk that was armed is gone, or has another UUID by now, whatever the settings lead to.
  @Test func anArmedDiskThatIsGoneIsNoTarget() throws {
    var record = try #require(ArmedRecord(readFrom: fake.request.directory + "/armed"))
    for word in ["UUID=bbbb-data:/dumps", "raw:/dev/mcore-nothing", "/dev/mcore-nothing:/x"] {
      record.targets = [word]
      try record.text.write(toFile: fake.request.directory + "/armed", atomically: true, encoding: .utf8)
      let status = armStatus(fake.request)
      #expect(status.problems == ["none of the targets that are armed can take a dump"])
      #expect(status.notes == ["\(word) is armed, and that disk is not there: mcore arm"])
      #expect(status.metrics.contains("\nmcore_captured 0\n"))
    }
    record.targets += ["memory:"]
    try record.text.write(toFile: fake.request.directory + "/armed", atomically: true, encoding: .utf8)
    #expect(armStatus(fake.request).isCaptured)
  }

  @Test func whatCanNotBeCheckedIsNotCaptured() throws {
    try FileManager.default.removeItem(atPath: fake.request.root + "/etc/mcore.conf")
    try fake.write("/etc/mcore.conf/x", "a directory")
    let status = armStatus(fake.request)
    #expect(status.problems.count == 1 && status.problems[0].contains("what is armed can't be checked"), "\(status.problems)")
  }

  /// Armed by --kernel and --initrd: the running kernel's files are not where others have them.
  @Test func theKernelThatWasArmedIsTheOneThatIsLookedFor() throws {
    var request = fake.request
    (request.kernel, request.initrd) = (nil, nil)
    let status = armStatus(request)
    #expect(status.isCaptured && status.targets.count == 2, "\(status.text)")
    try FileManager.default.removeItem(atPath: fake.scratch.file("vmlinuz"))
    #expect(armStatus(request).problems.contains { $0.contains("what is armed can't be checked") })
    // Where nothing is armed, that is all there is to say.
    try FileManager.default.removeItem(atPath: fake.request.directory + "/armed")
    #expect(armStatus(request).problems.count == 1)
  }

  @Test func aFileThatIsTooLongIsNotCut() throws {
    try fake.write("/etc/mcore.conf", String(repeating: "# padding\n", count: 20_000) + "target=/var/crash\n")
    #expect(try ArmPlan(fake.request, Machine(root: fake.request.root)).targets.map(\.word) == ["/var/crash"])
    try fake.write("/etc/mcore.conf", String(repeating: "# padding\n", count: 500_000))
    #expect(throws: DumpError.self) { try ArmPlan(fake.request, Machine(root: fake.request.root)) }
  }

  /// What panic-on= asks for, and what this kernel does.
  @Test func whatPanicsIsWhatIsSet() throws {
    try fake.write("/etc/mcore.conf", "target=memory: panic-on=oops,warn,hung-task:300s")
    try fake.write("/proc/sys/kernel/panic_on_warn", "0\n")
    try fake.write("/proc/sys/kernel/hung_task_panic", "1\n")
    try fake.write("/proc/sys/kernel/hung_task_timeout_secs", "300\n")
    let status = armStatus(fake.request)
    #expect(status.text.contains("panics on: oops, hung-task:300s\n"), "\(status.text)")
    #expect(status.notes.contains { $0.contains("panic-on=warn is not set") })
  }

  /// `mcore arm --target memory:` on a machine whose settings name a disk.
  @Test func whatWasArmedCounts() throws {
    var record = try #require(ArmedRecord(readFrom: fake.request.directory + "/armed"))
    record.targets = ["memory:"]
    try record.text.write(toFile: fake.request.directory + "/armed", atomically: true, encoding: .utf8)
    try fake.write("/etc/mcore.conf", "target=/net/x")
    try fake.write("/proc/self/mountinfo", "20 1 0:33 / / rw - nfs4 host:/x rw\n")
    let status = armStatus(fake.request)
    #expect(status.isCaptured && status.targets.map(\.isUsable) == [false], "\(status.text)")
  }

  @Test func theEstimateGoesByTheLevel() throws {
    let machine = Machine(root: fake.request.root)
    #expect(machine.dumpEstimate(["level=all"]) == 1000 << 10 && machine.dumpEstimate(["level=used"]) == 800 << 10)
  }

  @Test func changedSettingsAndRivalsAreNoticed() throws {
    var record = try #require(ArmedRecord(readFrom: fake.request.directory + "/armed"))
    record.time = 1000
    try record.text.write(toFile: fake.request.directory + "/armed", atomically: true, encoding: .utf8)
    #expect(armStatus(fake.request).notes == ["/etc/mcore.conf has changed since: mcore arm"])
    let wanted = fake.request.root + "/etc/systemd/system/multi-user.target.wants"
    try FileManager.default.createDirectory(atPath: wanted, withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: wanted + "/kdump-tools.service", withDestinationPath: "/lib/x")
    #expect(armStatus(fake.request).problems.first?.contains("systemctl disable --now kdump-tools.service") == true)
    for (text, isRival) in [
      ("USE_KDUMP=0\n", false), ("#USE_KDUMP=1\n", false), ("USE_KDUMP=\"1\"\n", true), ("USE_KDUMP=1 # yes\n", true),
      (" USE_KDUMP='1'\n", true), ("USE_KDUMP=1\nUSE_KDUMP=0\n", false),
    ] {
      try fake.write("/etc/default/kdump-tools", text)
      #expect(armStatus(fake.request).isCaptured != isRival, "\(text)")
    }
  }

  @Test func aKernelThatHandsOverIsNoticed() throws {
    for (release, line, expected) in [
      ("6.16.1-amd64", "quiet kho=on", true), ("7.0.0", "kho=1", true), ("7.1.0-rc1", "kho=on", false),
      ("6.16.1", "kho=off", false),
      ("6.1.0-test", "root=x", false),
    ] {
      try fake.write("/proc/sys/kernel/osrelease", release + "\n")
      try fake.write("/proc/cmdline", line + " crashkernel=1G,cma\n")
      #expect(Machine(root: fake.request.root).isHandingOver == expected, "\(release) \(line)")
    }
    #expect(armStatus(fake.request).notes.contains { $0.contains("cma") })
    try fake.write("/proc/cmdline", "x\n")
    try fake.write("/sys/kernel/debug/kho/out/fdt", "")
    #expect(armStatus(fake.request).problems.contains { $0.contains("kho=off") })
  }

  @Test func metricsAreInTheFormatOfPrometheus() throws {
    try fake.write("/etc/mcore.conf", "target=/var/crash\ntarget=memory:\n\"target=/odd \\x\"")
    let text = armStatus(fake.request).metrics
    #expect(text.contains("# TYPE mcore_captured gauge\nmcore_captured 1\n"))
    #expect(
      text.contains("mcore_target_usable{target=\"/odd \\\\x\"} 1\n") && text.contains("mcore_crash_memory_bytes 268435456\n"))
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      #expect(line.wholeMatch(of: /mcore_[a-z_]+(\{target="[^"]*"\})? \d+/) != nil, "\(line)")
    }
  }
}
