import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import Arming
@testable import SoftBoot

/// Hooks go into the crash initramfs with what they need; what can't is said, and costs nothing else.
@Suite struct HookFilesTests {
  private let fake: FakeMachine
  private let directory = HookFiles.directory

  init() throws { fake = try FakeMachine() }

  private func hook(_ name: String, _ text: String, isExecutable: Bool = true) throws {
    try fake.write("\(directory)/\(name)", text)
    try FileManager.default.setAttributes(
      [.posixPermissions: isExecutable ? 0o755 : 0o644], ofItemAtPath: "\(fake.request.root)\(directory)/\(name)")
  }

  @Test func withoutHooksNothingIsAdded() throws {
    let hooks = HookFiles(Machine(root: fake.request.root))
    #expect(hooks.names.isEmpty && hooks.files.isEmpty && hooks.warnings.isEmpty)
  }

  @Test func theyAreInTheImageInOrder() throws {
    try fake.write("/etc/pager.pem", "key")
    try hook("after/20-page", "#!/bin/sh\n# mcore-needs: /etc/pager.pem\n")
    try hook("after/10-first.sh", "#!/bin/sh -e\n")
    try hook("before/fence", "#!/bin/sh\n")
    // What is left beside, and what can't go along.
    for name in ["after/10-first.sh~", "after/.hidden", "after/x.dpkg-old"] { try hook(name, "#!/bin/sh\n") }
    try hook("failed/plain", "#!/bin/sh\n", isExecutable: false)
    try hook("failed/lost", "#!/usr/bin/lost\n# mcore-needs: /etc/pager.pem\n")
    try hook("failed/needy", "#!/bin/sh\n# mcore-needs: /not/there\n")
    let machine = Machine(root: fake.request.root)
    let plan = try ArmPlan(fake.request, machine)
    #expect(plan.hooks.names == ["before/fence", "after/10-first.sh", "after/20-page"])
    #expect(plan.hooks.warnings.count == 3, "\(plan.hooks.warnings)")
    for part in ["failed/plain is left out: no executable file", "/usr/bin/lost", "/not/there"] {
      #expect(plan.hooks.warnings.contains { $0.contains(part) }, "\(part)")
    }
    try build(fake.scratch.file("image"), fake.scratch.file("base.img"), plan, plan.normal, try ArmRecord(machine))
    let image = Array(try Data(contentsOf: URL(fileURLWithPath: fake.scratch.file("image"))))
    let files = try unpacked(image, from: 1004)
    #expect(files["hooks/after/10-first.sh"] == Array("#!/bin/sh -e\n".utf8) && files["etc/pager.pem"] == Array("key".utf8))
    #expect(files["hooks/after"] != nil && files.keys.filter { $0.hasPrefix("hooks/") }.count == 5)
    // Run by env(1): they have to be executable. The mode stands behind the inode's number.
    let found = image.firstRange(of: Array("hooks/before/fence".utf8))
    let at = try #require(found).lowerBound
    #expect(String(decoding: image[at - 96..<at - 88], as: UTF8.self) == "000081ed")
    let check = try checkArm(fake.request)
    #expect(check.lines.contains { $0.hasPrefix("hooks: before/fence after/10-first.sh after/20-page") })
    #expect(check.lines.contains { $0.hasPrefix("hook failed/lost is left out: ") } && check.problems.isEmpty)
  }

  @Test func theyTakeMemory() throws {
    let machine = Machine(root: fake.request.root)
    let without = try ArmPlan(fake.request, machine).neededMemory
    try hook("after/large", "#!/bin/sh\n" + String(repeating: "#", count: 1 << 20))
    #expect(try ArmPlan(fake.request, machine).neededMemory - without == 2 * (1 << 20 + 10))
  }
}

/// CPUs of the crash kernel.
@Suite struct CrashProcessorsTests {
  private let fake: FakeMachine

  /// Eight CPUs; the boot CPU has the number 4.
  init() throws {
    fake = try FakeMachine()
    try fake.write("/sys/devices/system/cpu/online", "0-3,8-11\n")
  }

  private func processors(_ wanted: Int, spare: UInt64) -> CrashProcessors {
    CrashProcessors(wanted: wanted, Machine(root: fake.request.root), spare: spare)
  }

  @Test func asManyAsThereIsRoomFor() throws {
    #expect(Machine(root: fake.request.root).onlineCPUs == 8)
    #expect(processors(0, spare: 0).words == "nr_cpus=1")
    #expect(processors(0, spare: 11 << 20).words == "nr_cpus=1")
    #expect(processors(0, spare: 12 << 20).words == "nr_cpus=2 disable_cpu_apicid=4")
    #expect(processors(0, spare: 1 << 40).words == "nr_cpus=8 disable_cpu_apicid=4")
    #expect(processors(3, spare: 0).words == "nr_cpus=3 disable_cpu_apicid=4")
    let many = processors(9, spare: 1 << 40)
    #expect(many.count == 8 && many.warning?.contains("this machine has 8") == true)
    try fake.write("/sys/devices/system/cpu/online", "0-63\n")
    #expect(processors(0, spare: 1 << 40).count == CrashProcessors.automatic)
    #expect(processors(20, spare: 0).count == 20)
    try fake.write("/sys/devices/system/cpu/online", "0\n")
    #expect(processors(0, spare: 1 << 40).words == "nr_cpus=1")
  }

  /// From 6.9 on the kernel leaves the boot CPU alone; before, it is named or there is one CPU.
  @Test func theBootCPUIsLeftAlone() throws {
    for (release, words) in [
      ("6.8.12-1", "nr_cpus=2 disable_cpu_apicid=4"), ("5.10.0-30-amd64", "nr_cpus=2 disable_cpu_apicid=4"),
      ("6.9.0", "nr_cpus=2"),
      ("6.12.1+deb13", "nr_cpus=2"), ("7.2-rc1", "nr_cpus=2"), ("what", "nr_cpus=2 disable_cpu_apicid=4"),
    ] {
      try fake.write("/proc/sys/kernel/osrelease", release + "\n")
      #expect(processors(2, spare: 0).words == words, "\(release)")
    }
    try fake.write("/proc/sys/kernel/osrelease", "6.1.0\n")
    try fake.write("/proc/cpuinfo", "processor\t: 0\n")
    #expect(processors(0, spare: 1 << 40).words == "nr_cpus=1")
    let wanted = processors(2, spare: 0)
    #expect(wanted.words == "nr_cpus=1" && wanted.warning?.contains("not known") == true)
  }

  @Test func theCommandLineHasThem() throws {
    try fake.write("/etc/mcore.conf", "target=memory: cpus=2")
    let machine = Machine(root: fake.request.root)
    let plan = try ArmPlan(fake.request, machine)
    #expect(
      crashCommandLine(machine, plan.processors, "x=y")
        == "console=ttyS0 panic=5 nr_cpus=2 disable_cpu_apicid=4 reset_devices acpi_no_memhotplug x=y")
    let one = try {
      try fake.write("/etc/mcore.conf", "target=memory: cpus=1"); return try ArmPlan(fake.request, machine)
    }()
    #expect(plan.neededMemory - one.neededMemory == CrashProcessors.memory)
    #expect(try checkArm(fake.request).lines.contains("CPUs of the crash kernel: 1 (nr_cpus=1)"))
  }
}
