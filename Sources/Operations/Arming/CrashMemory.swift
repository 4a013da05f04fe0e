internal import DumpBasics
internal import LinuxSystem

/// Memory that a crash kernel needs to start the normal one, in bytes. It is at its fullest while that one is
/// loaded. Found by trying: docs/soft-boot.md, "Memory for the crash kernel".
struct CrashMemory {
  /// The file, and what it takes when it is unpacked, with its data and bss.
  var kernelSize: UInt64
  var kernelMemory: UInt64
  var initrdSize: UInt64
  /// RAM of the machine whose page map is read.
  var machineMemory: UInt64 = 0
  /// Modules in its initramfs: once packed, once unpacked, once loaded.
  var modules: UInt64 = 0
  /// For CPUs beyond the first, where `cpus=` wants them.
  var furtherCPUs: UInt64 = 0
  /// Programs, libraries, firmware, hooks: once in the initramfs, once unpacked.
  var files: UInt64 = 0
  var hasNetwork = false

  /// Of a crash kernel that only saves: itself, its slab, mcore-capture and busybox in its initramfs, what
  /// they work with.
  var own: UInt64 {
    kernelMemory + CrashMemory.rest + CrashMemory.classes(of: machineMemory) + 3 * modules + 2 * files
      + furtherCPUs + (hasNetwork ? CrashMemory.network : 0)
  }
  /// What devices receive into, what waits to be sent, and ssh or curl at work.
  static let network: UInt64 = 24 << 20
  static let rest: UInt64 = 48 << 20
  /// What mcore-capture needs for the classes of so many bytes of RAM: 48 MiB for each TiB
  /// (docs/performance.md, "Memory on large machines").
  static func classes(of memory: UInt64) -> UInt64 { memory >> 20 * 48 }

  /// Both files lie in its initramfs; kexec_file_load reads both whole, and then collects pages for all that
  /// the new kernel will take, its bss too (kimage_load_normal_segment in kernel/kexec_core.c, Linux 6.1).
  var withNormalKernel: UInt64 { own + 2 * (kernelSize + initrdSize) + kernelMemory + initrdSize }
}

extension CrashMemory {
  /// `initrd` is nil for a crash kernel that starts no other one.
  init(kernel: String, initrd: String?) throws(DumpError) {
    let file = try File(kernel, .read)
    kernelSize = try file.size()
    let header = try file.bytes(at: 0, count: 0x264)
    kernelMemory = bzImageMemory(header) ?? arm64ImageMemory(header) ?? 5 * kernelSize
    if let initrd { initrdSize = try File(initrd, .read).size() } else { initrdSize = 0 }
  }

  /// Of a crash kernel that starts no other one.
  init(kernel: String, _ machine: Machine, modules: UInt64) throws(DumpError) {
    try self.init(kernel: kernel, initrd: nil)
    (machineMemory, self.modules) = (machine.memory, modules)
  }
}

/// `init_size` of a bzImage's header, from version 2.10 on (Documentation/arch/x86/boot.rst); nil for
/// anything else.
func bzImageMemory(_ header: [UInt8]) -> UInt64? {
  let header = ByteReader(header, .little)
  guard header.slice(0x202, 4) == Array("HdrS".utf8), let version = header.u16(0x206), version >= 0x020a else { return nil }
  return header.u32(0x260).map(UInt64.init)
}

/// `image_size` of an arm64 Image, which is not packed: what the kernel takes with its bss, since 3.17
/// (Documentation/arch/arm64/booting.rst); nil for anything else.
func arm64ImageMemory(_ header: [UInt8]) -> UInt64? {
  let header = ByteReader(header, .little)
  guard header.slice(56, 4) == Array("ARMd".utf8), let size = header.u64(16), size > 0 else { return nil }
  return size
}
