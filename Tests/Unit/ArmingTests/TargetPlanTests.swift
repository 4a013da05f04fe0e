import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import Arming
@testable import LinuxSystem
@testable import SoftBoot

/// A machine with disks: sysfs as a guest of QEMU and a laptop show it.
private struct DiskMachine {
  var fake: FakeMachine
  static let pci = "/sys/devices/pci0000:00/0000:00:02.0"

  init() throws {
    fake = try FakeMachine()
    fake.request.targets = []
    let modules = "/lib/modules/6.1.0-test"
    for (path, text) in [
      (
        "\(modules)/modules.dep",
        "kernel/virtio_blk.ko: kernel/virtio.ko\nkernel/virtio.ko:\nkernel/virtio_pci.ko: kernel/virtio.ko\n"
          + "kernel/ext4.ko.xz:\nkernel/nvme.ko: kernel/nvme-core.ko\nkernel/nvme-core.ko:\n"
      ), ("\(modules)/modules.alias", "alias pci:v00001AF4d* virtio_pci\nalias fs-ext4 ext4\n"),
      ("\(modules)/kernel/virtio.ko", "1"),
      ("\(modules)/kernel/virtio_blk.ko", "22"), ("\(modules)/kernel/virtio_pci.ko", "333"),
      ("\(DiskMachine.pci)/virtio0/block/vda/vda1/partition", "1\n"),
      ("\(DiskMachine.pci)/modalias", "pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00\n"), ("/dev/vda1", ""),
      ("/sys/devices/virtual/block/dm-0/dm/uuid", "CRYPT-LUKS2-00-root\n"), ("/sys/devices/virtual/block/dm-0/dm/name", "root\n"),
      ("/sys/devices/virtual/block/loop0/loop/backing_file", "/srv/image\n"),
      ("/sys/devices/platform/host1/session1/target1:0:0/1:0:0:0/block/sdb/size", "1\n"),
      (
        "/proc/self/mountinfo",
        "20 1 254:1 / / rw - ext4 /dev/vda1 rw\n21 20 0:22 / /tmp rw - tmpfs tmpfs rw\n22 20 253:0 / /secret rw - ext4 /dev/mapper/root rw\n"
          + "23 20 254:1 /sub /bind rw - ext4 /dev/vda1 rw\n24 20 0:33 / /net rw - nfs4 host:/x rw\n25 20 7:0 / /loop rw - ext4 /dev/loop0 rw\n"
          + "26 20 8:16 / /iscsi rw - ext4 /dev/sdb rw\n27 20 254:1 / /odd rw - zfs2 /dev/vda1 rw\n"
      ),
    ] { try fake.write(path, text) }
    try link("/sys/dev/block/254:1", "../..\(DiskMachine.pci.dropFirst(4))/virtio0/block/vda/vda1")
    try link("/sys/dev/block/253:0", "../../devices/virtual/block/dm-0")
    try link("/sys/dev/block/7:0", "../../devices/virtual/block/loop0")
    try link("/sys/dev/block/8:16", "../../devices/platform/host1/session1/target1:0:0/1:0:0:0/block/sdb")
    try link("\(DiskMachine.pci)/virtio0/driver", "../../../../bus/virtio/drivers/virtio_blk")
    try fake.write("/sys/bus/virtio/drivers/virtio_blk/x", "")
    try link("/sys/bus/virtio/drivers/virtio_blk/module", "../../../../module/virtio_blk")
    try link("/dev/disk/by-uuid/1234-abcd", "../../vda1")
    for directory in ["/var/crash", "/secret", "/bind", "/tmp"] {
      try FileManager.default.createDirectory(atPath: fake.request.root + directory, withIntermediateDirectories: true)
    }
  }

  func link(_ path: String, _ target: String) throws {
    let url = URL(fileURLWithPath: fake.request.root + path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: url.path, withDestinationPath: target)
  }

  func plan(_ settings: String) throws -> ArmPlan {
    try fake.write("/etc/mcore.conf", settings)
    return try ArmPlan(fake.request, Machine(root: fake.request.root))
  }
}

@Suite(.serialized) struct TargetPlanTests {
  /// A crash kernel mounts by one device: what needs more is left to memory:.
  @Test func aFileSystemOnSeveralDisksIsRefused() throws {
    let machine = try DiskMachine()
    func reason(_ mount: String) throws -> String {
      try machine.fake.write("/proc/self/mountinfo", "20 1 254:1 / / rw - \(mount)\n")
      return try machine.plan("target=/var/crash").targets[0].reason?.description ?? "none"
    }
    for type in ["xfs", "btrfs"] { try machine.fake.write("/lib/modules/6.1.0-test/kernel/\(type).ko", "") }
    try machine.fake.write(
      "/lib/modules/6.1.0-test/modules.dep",
      "kernel/virtio_blk.ko:\nkernel/virtio_pci.ko:\nkernel/xfs.ko:\nkernel/btrfs.ko:\nkernel/ext4.ko.xz:\n")
    #expect(try reason("xfs /dev/vda1 rw,attr2,noquota") == "none")
    #expect(try reason("xfs /dev/vda1 rw,attr2,logdev=/dev/vdb1,noquota").contains("logdev="))
    let pool = "/sys/fs/btrfs/0c1d/devices"
    try machine.fake.write(pool + "/vda1/size", "1")
    #expect(try reason("btrfs /dev/vda1 rw,subvol=/") == "none")
    try machine.fake.write(pool + "/vdb1/size", "1")
    #expect(try reason("btrfs /dev/vda1 rw,subvol=/").contains("lies on 2 disks"))
  }

  /// A driver that is missing or damaged costs the targets that need it, and no other.
  @Test func modulesThatCanNotBeHadCostTheirTarget() throws {
    let machine = try DiskMachine()
    let settings = "target=/var/crash target=memory:"
    #expect(try machine.plan(settings).reachable.count == 2)
    let file = machine.fake.request.root + "/lib/modules/6.1.0-test/kernel/ext4.ko.xz"
    try Data("garbage".utf8).write(to: URL(fileURLWithPath: file))
    var plan = try machine.plan(settings)
    #expect(plan.reachable.map(\.word) == ["memory:"] && plan.targets[0].line.contains("is damaged"), "\(plan.lines)")
    try FileManager.default.removeItem(atPath: file)
    plan = try machine.plan(settings)
    #expect(plan.reachable.map(\.word) == ["memory:"] && plan.targets[0].line.contains("modules.dep lists it"), "\(plan.lines)")
  }

  @Test func whatIsWrongInTheFileIsToldWithItsLine() throws {
    let machine = try DiskMachine()
    let problems = { (text: String) in try machine.plan(text).problems.map(\.description) }
    #expect(try problems("target=memory:\n\"target=/var/crash level=all\n").first?.contains("line 2") == true)
    #expect(try problems("target=memory: # it's \" here\n").isEmpty)
    #expect(try problems("\u{feff}target=memory:\n").first?.contains("byte order mark") == true)
    // Known, but not to mcore-capture; a build without it does not know it at all.
    #expect(try problems("target=memory: format=kdump-zlib\n").count == 1)
    // The same one twice is one.
    #expect(try machine.plan("target=/var/crash\ntarget=/var/crash\n").targets.count == 1)
    #expect(try machine.plan("target=memory: \"append=pci=nomsi irqpoll\"").running.append == "pci=nomsi irqpoll")
  }

  /// Without them a crash kernel may not find its disk.
  @Test func whatIsSaidOfTheHardwareGoesAlong() throws {
    let machine = try DiskMachine()
    try machine.fake.write(
      "/proc/cmdline",
      "root=/dev/vda1 quiet pci=nommconf noapic intel_iommu=off libata.force=noncq crashkernel=256M console=ttyS0 splash\n")
    let real = Machine(root: machine.fake.request.root)
    let line = crashCommandLine(real, CrashProcessors(wanted: 1, real, spare: 0), "more=1")
    #expect(line.hasPrefix("pci=nommconf noapic intel_iommu=off libata.force=noncq console=ttyS0 panic=5 "), "\(line)")
    #expect(line.hasSuffix(" reset_devices acpi_no_memhotplug more=1"))
  }

  @Test func aDirectoryOfTheRunningSystemIsOnItsDisk() throws {
    let machine = try DiskMachine()
    let plan = try machine.plan("target=/var/crash level=used\ntarget=memory: # then\nwait=5")
    #expect(plan.targets.map(\.crashWord) == ["UUID=1234-abcd:/var/crash", "memory:"])
    #expect(plan.modules == ["kernel/virtio.ko", "kernel/virtio_pci.ko", "kernel/virtio_blk.ko", "kernel/ext4.ko.xz"])
    #expect(plan.words == ["level=used", "wait=5"] && plan.normal?.initrd == machine.fake.scratch.file("initrd.img"))
    #expect(configuration(plan) == "target=UUID=1234-abcd:/var/crash\ntarget=memory:\nlevel=used\nwait=5\n")
    // A part of the file system that is mounted elsewhere; a directory that is not there yet.
    #expect(try machine.plan("target=/bind").targets[0].crashWord == "UUID=1234-abcd:/sub")
    #expect(try machine.plan("target=/new/x").targets[0].crashWord == "UUID=1234-abcd:/new/x")
    #expect(try machine.plan("\"target=/new dumps/x\"").targets.first?.crashWord == "UUID=1234-abcd:/new dumps/x")
    #expect(configuration(try machine.plan("\"target=/new dumps\"")) == "\"target=UUID=1234-abcd:/new dumps\"\n")
  }

  /// What is written to an overlay lies in its upper directory.
  @Test func anOverlayIsWhereItsUpperDirectoryIs() throws {
    let machine = try DiskMachine()
    let mounts = try String(contentsOfFile: machine.fake.request.root + "/proc/self/mountinfo", encoding: .utf8)
    try machine.fake.write(
      "/proc/self/mountinfo",
      mounts + "30 20 0:40 / /live rw - overlay overlay rw,lowerdir=/ro,upperdir=/rw/upper,workdir=/rw/work\n"
        + "31 20 0:41 / /gone rw - overlay overlay rw,lowerdir=/ro,upperdir=/not/there,workdir=/rw/work\n"
        + "32 20 0:42 / /tmp/live rw - overlay overlay rw,lowerdir=/ro,upperdir=/tmp/upper,workdir=/tmp/work\n")
    for directory in ["/rw/upper/crash", "/live/crash", "/gone/x", "/tmp/live", "/tmp/upper"] {
      try FileManager.default.createDirectory(atPath: machine.fake.request.root + directory, withIntermediateDirectories: true)
    }
    #expect(try machine.plan("target=/live/crash").targets[0].crashWord == "UUID=1234-abcd:/rw/upper/crash")
    #expect(try machine.plan("target=/live").targets[0].crashWord == "UUID=1234-abcd:/rw/upper")
    #expect(try machine.plan("target=/gone/x").targets[0].line.contains("/not/there"))
    // And where the target stands.
    #expect(try machine.plan("level=used\ntarget=/gone/x").targets[0].line.contains("(/etc/mcore.conf, line 2"))
    #expect(try machine.plan("target=/tmp/live/x").targets[0].line.contains("on no disk (tmpfs)"))
  }

  @Test(arguments: [
    ("/secret/x", "encrypted"), ("/tmp/x", "on no disk (tmpfs)"), ("/net/x", "on the network (nfs4)"), ("/loop", "/srv/image"),
    ("/iscsi", "iSCSI"), ("/odd", "no module for the file system zfs2"), ("UUID=nothing-there:/x", "no such disk"),
    ("raw:/dev/nothing-there", "no such disk"), ("raw:DISKID=nothing", "no such disk"), ("-", "nobody"),
    ("pipe:nothing-there-x", "no such program"),
    ("relative", "slash in front"),
  ])
  func whatCanNotBeReachedIsNamedWithItsReason(target: String, reason: String) throws {
    let machine = try DiskMachine()
    let plan = try machine.plan("target=\(target)")
    #expect(plan.targets.count == 1 && plan.reachable.isEmpty && plan.targets[0].line.contains(reason), "\(plan.targets[0].line)")
    let error = #expect(throws: DumpError.self) { try plan.requireSomething() }
    #expect(error?.description.contains("target=memory:") == true && error?.description.contains(reason) == true)
    // By way of memory it is all the same.
    try machine.plan("target=\(target) target=memory:").requireSomething()
  }

  /// `pipe:`: programs and files go along; what stands behind the program is nobody's business.
  @Test func aCommandGetsWhatItNeeds() throws {
    let machine = try DiskMachine()
    try machine.fake.write("/opt/send", "#!/bin/sh\n# mcore-needs: /etc/more\ncat\n")
    try machine.fake.write("/etc/more", "x")
    #expect(chmod(machine.fake.request.root + "/opt/send", 0o755) == 0)
    try machine.fake.write("/etc/token", "secret")
    let plan = try machine.plan("\"target=pipe:/opt/send --key /etc/token s3cret\"")
    try #require(plan.targets.map(\.crashWord) == ["pipe:/opt/send --key /etc/token s3cret"])
    #expect(plan.imageFiles.map(\.name) == ["opt/send", "etc/more", "etc/token"])
    #expect(!plan.targets[0].line.contains("s3cret") && plan.savesDirectly)
    #expect(configuration(plan).hasPrefix("\"target=pipe:/opt/send --key /etc/token s3cret\"\n"))
    var request = machine.fake.request
    request.targets = ["pipe:/opt/send \"a b\""]
    let given = try ArmPlan(request, Machine(root: request.root))
    #expect(given.reachable.isEmpty && given.targets[0].line.contains("quotation mark"))
    let status = TargetStatus(
      plan.targets[0], Machine(root: machine.fake.request.root), estimate: 1, probes: false, transfer: plan.transfer)
    #expect(!status.text.contains("s3cret") && !status.json.text().contains("s3cret"))
  }

  /// A disk of `last=` that is not there is a warning, and costs no target.
  @Test func aLastResortThatIsMissingIsTold() throws {
    let machine = try DiskMachine()
    let plan = try machine.plan("target=/var/crash last=/dev/nothing-there")
    #expect(plan.reachable.count == 1 && plan.words == ["last=/dev/nothing-there"])
    #expect(plan.warnings.count == 1 && plan.warnings[0].contains("last=/dev/nothing-there can't be reached: "))
  }

  /// In the record a target is one word, whatever its path.
  @Test func aTargetWithABlankStaysOneTarget() throws {
    var record = ArmedRecord(time: 1, release: "6.1", bootID: "b", nonce: "n", memory: 2)
    record.targets = ["UUID=1:/new dumps/100% é", "memory:", "raw:DISKID=S3 X1"]
    let scratch = try Scratch()
    try record.write(in: scratch.path)
    #expect(ArmedRecord(readFrom: scratch.file("armed")) == record)
  }

  @Test func aWrongWordIsRefusedBeforeAnythingIsChanged() throws {
    let machine = try DiskMachine()
    try machine.fake.write("/etc/mcore.conf", "target=/var/crash\nlevle=all\n")
    var request = machine.fake.request
    try FileManager.default.createDirectory(atPath: request.directory, withIntermediateDirectories: false)
    try "before".write(toFile: request.directory + "/armed", atomically: true, encoding: .utf8)
    let error = #expect(throws: DumpError.self) { _ = try arm(request) }
    #expect(error?.kind == .usage && error?.place == "/etc/mcore.conf, line 2" && error?.advice.contains("level") == true)
    #expect(try String(contentsOfFile: request.directory + "/armed", encoding: .utf8) == "before")
    #expect(try checkArm(request).problems.count == 1)
    try machine.fake.write("/etc/mcore.conf", "")
    #expect(machine.fake.reason().contains("no target is given"))
    request.targets = ["memory:"]
    #expect(try checkArm(request).refusal == nil)
  }

  /// Where memory is short the disk is armed all the same, and memory: says why not.
  @Test func theSoftBootGivesWayToTheDisk() throws {
    let machine = try DiskMachine()
    let needed = try machine.plan("target=/var/crash target=memory:")
    #expect(needed.usesMemory && needed.savesDirectly)
    try machine.fake.write("/sys/kernel/kexec_crash_size", "\(needed.neededMemory - 1)\n")
    let short = try machine.plan("target=/var/crash target=memory:")
    #expect(!short.usesMemory && short.neededMemory < needed.neededMemory && short.targets[1].line.contains("crashkernel="))
    try machine.fake.write("/sys/kernel/kexec_crash_size", "268435456\n")
    try machine.fake.write("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    #expect(try machine.plan("target=/var/crash target=memory:").targets[1].line.contains("locked down"))
    let check = try checkArm(machine.fake.request)
    #expect(check.lines[0] == "target /var/crash as UUID=1234-abcd:/var/crash" && check.refusal == nil)
    #expect(check.crashkernelMegabytes % 16 == 0 && check.lines.contains("modules: virtio virtio_pci virtio_blk ext4"))
  }

  @Test func theImageHasTheModules() throws {
    let machine = try DiskMachine()
    let xz = Process()
    xz.executableURL = URL(fileURLWithPath: "/bin/sh")
    let module = machine.fake.request.root + "/lib/modules/6.1.0-test/kernel/ext4.ko.xz"
    xz.arguments = ["-c", "printf 4444 | xz -c >\(module)"]
    try xz.run()
    xz.waitUntilExit()
    try machine.fake.write(
      "/etc/modprobe.d/a.conf", "# options virtio_blk no=1\noptions virtio-blk queues=1 \\\n size=9\nblacklist virtio\n")
    try machine.fake.write("/lib/modprobe.d/a.conf", "options virtio_blk hidden=1\n")
    try machine.fake.write("/proc/cmdline", "root=/dev/vda1 quiet virtio_blk.x=2 a.b=c.d\n")
    let plan = try machine.plan("target=/var/crash")
    let record = try ArmRecord(Machine(root: machine.fake.request.root))
    let image = machine.fake.scratch.file("image")
    try build(image, machine.fake.scratch.file("base.img"), plan, plan.normal, record)
    let files = try unpacked(Array(try Data(contentsOf: URL(fileURLWithPath: image))), from: 1004)
    let list = "/modules/virtio.ko\n/modules/virtio_pci.ko\n/modules/virtio_blk.ko queues=1 size=9 x=2\n/modules/ext4.ko\n"
    #expect(files["etc/mcore.modules"].map { String(decoding: $0, as: UTF8.self) } == list)
    #expect(files["modules/virtio_pci.ko"] == Array("333".utf8) && files["modules/ext4.ko"] == Array("4444".utf8))
    #expect(files["normal"] == nil && plan.normal == nil)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: machine.fake.scratch.path).filter { $0.contains(".module") } == [])
    // One that nothing here unpacks is left to the kernel.
    try "no xz".write(toFile: module, atomically: true, encoding: .utf8)
    try build(image, machine.fake.scratch.file("base.img"), plan, plan.normal, record)
    let packed = try unpacked(Array(try Data(contentsOf: URL(fileURLWithPath: image))), from: 1004)
    #expect(packed["modules/ext4.ko.xz"] == Array("no xz".utf8))
  }

  @Test func statusSaysWhereTheDumpGoes() throws {
    let machine = try DiskMachine()
    let request = machine.fake.request
    try machine.fake.write("/etc/mcore.conf", "target=/var/crash target=memory:")
    try machine.fake.write("/sys/kernel/kexec_crash_loaded", "1\n")
    try FileManager.default.createDirectory(atPath: request.directory, withIntermediateDirectories: false)
    var record = try ArmRecord(Machine(root: request.root)).armed
    record.targets = ["UUID=1234-abcd:/var/crash", "memory:"]
    (record.kernel, record.initrd) = (machine.fake.scratch.file("vmlinuz"), machine.fake.scratch.file("initrd.img"))
    try record.text.write(toFile: request.directory + "/armed", atomically: true, encoding: .utf8)
    #expect(ArmedRecord(readFrom: request.directory + "/armed") == record)
    let status = armStatus(request)
    #expect(status.text.hasPrefix("a crash now would be captured, to UUID=1234-abcd:/var/crash, then by the soft boot (memory:)"))
    #expect(status.json.contains("\"way\": \"disk\""))
    // Where the kernel keeps the map of memory by itself, the direct way needs no more.
    record.targets = ["UUID=1234-abcd:/var/crash"]
    try record.text.write(toFile: request.directory + "/armed", atomically: true, encoding: .utf8)
    try machine.fake.write("/proc/iomem", "00100000-7fffffff : System RAM\n")
    #expect(!armStatus(request).isCaptured)
    try machine.fake.write("/sys/devices/system/memory/crash_hotplug", "1\n")
    #expect(armStatus(request).isCaptured)
  }
}
