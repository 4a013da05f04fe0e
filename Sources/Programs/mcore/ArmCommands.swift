import ArgumentParser
import Arming
import DumpBasics

struct Arm: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Get ready for a crash: load the crash kernel.",
    discussion: """
      Takes the targets of /etc/mcore.conf in order, finds what a crash kernel needs to reach each of them (drivers, file systems; \
      for ssh:, https: and nfs: the network, programs, keys and certificates), builds its initramfs of that and loads it for the \
      next panic (kexec_file_load). A disk, or another machine, gets the dump from the crash kernel itself. By 'memory:' it waits in memory that was free, the normal kernel boots, and 'mcore-capture source=memory:' saves it \
      there. To be done at every boot; the package has a unit for it.

      Exit status: 0 armed (--check: it would be); 1 it can't be; 2 wrong usage, or a wrong word in the settings.
      """)

  @Option(help: "The normal kernel (default: /boot/vmlinuz- and the running kernel's release).")
  var kernel: String?

  @Option(help: "Its initramfs (default: /boot/initrd.img- or /boot/initramfs- and the release). It should call mcore-capture.")
  var initrd: String?

  @Option(help: "The start of the crash initramfs (default: lib/mcore/crash-base.img below /usr/local or /usr).")
  var base: String?

  @Option(help: "Where the dump goes, in place of the targets of /etc/mcore.conf. Several are tried in order: repeat it.")
  var target: [String] = []

  @Option(help: "More words for the crash kernel's command line, such as mcore.level=used.")
  var append = ""

  @Option(help: "SIZE@ADDRESS: the dump waits in memory that was set aside by memmap=SIZE!ADDRESS, and nowhere else.")
  var window: String?

  @Flag(help: "The crash kernel restarts the machine through its firmware, where that leaves memory alone. Needs --window.")
  var reset = false

  @Flag(help: "Also after three crashes within an hour, and with less memory for the crash kernel than is known to be enough.")
  var force = false

  @Flag(help: "Say what would be armed and what is wrong, and change nothing.")
  var check = false

  @Flag(help: "Print the crashkernel= that this machine needs for its targets, and change nothing.")
  var crashkernel = false

  func validate() throws {
    if reset, window == nil { throw ValidationError("--reset needs --window: what a restart finds has to be set aside then too") }
  }

  mutating func run() throws {
    var request = ArmRequest()
    (request.kernel, request.initrd, request.base, request.append) = (kernel, initrd, base, append)
    (request.window, request.isByReset, request.isForced) = (window, reset, force)
    request.targets = target
    if crashkernel {
      return try failing { () throws(DumpError) in
        try standardOutput("crashkernel=\(try checkArm(request).crashkernelMegabytes)M\n")
      }
    }
    if check { return try runCheck(request) }
    try failing { () throws(DumpError) in
      let armed = try arm(request)
      for warning in armed.warnings { standardError("mcore: warning: \(warning)") }
      try standardOutput(
        armed.targets.map { "target \(printable($0))\n" }.joined()
          + "armed: \(armed.kernel)\(armed.initrd.isEmpty ? "" : ", " + armed.initrd); crash initramfs \(humanBytes(armed.imageSize)); "
          + "\(humanBytes(armed.crashMemory)) for the crash kernel, \(humanBytes(armed.neededMemory)) needed\n")
    }
  }
}

private func runCheck(_ request: ArmRequest) throws {
  var status: Int32 = 0
  try failing { () throws(DumpError) in
    let check = try checkArm(request)
    for line in check.lines { try standardOutput(printable(line) + "\n") }
    for problem in check.problems { standardError("mcore: error: \(problem)") }
    if check.problems.isEmpty, let refusal = check.refusal { standardError("mcore: error: \(refusal)") }
    status = check.problems.isEmpty ? check.refusal.map { $0.kind == .usage ? 2 : 1 } ?? 0 : 2
  }
  if status != 0 { throw ExitCode(status) }
}

struct Disarm: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Take the crash kernel back.")

  @Flag(help: "Leave it loaded, and only put down that the system goes down in order, so that this boot's end is no crash.")
  var shutdown = false

  mutating func run() throws {
    try failing { () throws(DumpError) in if shutdown { try endInOrder() } else { try disarm() } }
  }
}

struct Rehearse: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prove the way that is armed, on this machine, without a crash.",
    discussion: """
      Writes a pattern to memory where a dump would wait, and restarts the machine as the crash kernel would: the normal kernel by \
      kexec, with that memory set aside, or through the firmware ('mcore arm --reset'). In the next boot 'mcore-capture \
      source=memory:' checks every byte (the unit mcore-memory.service calls it), and 'mcore status' tells what came out.
      """)

  @Flag(help: "Restart this machine now, by systemctl where there is systemd. Without it nothing is done.")
  var restart = false

  @Option(help: "MiB of memory for the pattern; with a window set aside all of that is used.")
  var size = 64

  func validate() throws {
    if !restart { throw ValidationError("it restarts this machine: mcore rehearse --restart") }
    guard (2...4096).contains(size) else { throw ValidationError("--size is 2 to 4096, not \(size)") }
  }

  mutating func run() throws {
    try failing { () throws(DumpError) in
      let rehearsal = try prepareRehearsal(ArmRequest(), megabytes: size)
      try standardOutput(
        "a pattern of \(humanBytes(rehearsal.bytes)) lies in \(rehearsal.place); restarting by \(rehearsal.way). "
          + "mcore status tells the result after the boot\n")
      try restartForRehearsal(rehearsal)
    }
  }
}

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Would a crash now be captured? By which way, and if not, why?",
    discussion: "Exit status 0 if it would be, 1 if not.")

  @Flag(help: "JSON instead of lines; docs/arm.md has the members.")
  var json = false

  @Flag(help: "The text format of Prometheus, for the textfile collector of node_exporter.")
  var metrics = false

  @Flag(inversion: .prefixedNo, help: "Write a file to each target, sync and remove it.")
  var probe = true

  mutating func run() throws {
    let status = armStatus(probes: probe)
    try failing { () throws(DumpError) in
      try standardOutput(metrics ? status.metrics : (json ? status.json : status.text) + "\n")
    }
    if !status.isCaptured { throw ExitCode(1) }
  }
}
