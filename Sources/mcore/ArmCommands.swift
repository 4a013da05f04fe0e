import ArgumentParser
import Arming
import DumpBasics

struct Arm: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Get ready for a crash: load the crash kernel.",
    discussion: """
      Records this machine's memory map, boot and command line, builds an initramfs of them with the normal kernel in it, and loads \
      it for the next panic (kexec_file_load). After a panic the dump waits in memory that was free, the normal kernel boots, \
      and 'mcore-capture source=memory:' saves it there. To be done at every boot; 'make install' has a unit for it.
      """)

  @Option(help: "The normal kernel (default: /boot/vmlinuz- and the running kernel's release).")
  var kernel: String?

  @Option(help: "Its initramfs (default: /boot/initrd.img- or /boot/initramfs- and the release). It should call mcore-capture.")
  var initrd: String?

  @Option(help: "The start of the crash initramfs (default: lib/mcore/crash-base.img below /usr/local or /usr).")
  var base: String?

  @Option(help: "More words for the crash kernel's command line, such as mcore.level=used.")
  var append = ""

  mutating func run() throws {
    var request = ArmRequest()
    (request.kernel, request.initrd, request.base, request.append) = (kernel, initrd, base, append)
    try failing { () throws(DumpError) in
      let armed = try arm(request)
      try standardOutput(
        "armed: \(armed.kernel), \(armed.initrd); crash initramfs \(humanBytes(armed.imageSize)); "
          + "\(humanBytes(armed.crashMemory)) for the crash kernel, \(humanBytes(armed.neededMemory)) needed\n")
    }
  }
}

struct Disarm: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Take the crash kernel back.")

  mutating func run() throws { try failing { () throws(DumpError) in try disarm() } }
}

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Would a crash now be captured? By which way, and if not, why?",
    discussion: "Exit status 0 if it would be, 1 if not.")

  @Flag(help: "JSON instead of lines; docs/soft-boot.md has the members.")
  var json = false

  mutating func run() throws {
    let status = armStatus()
    try failing { () throws(DumpError) in try standardOutput((json ? status.json : status.text) + "\n") }
    if !status.isCaptured { throw ExitCode(1) }
  }
}
