internal import CLinux
public import DumpBasics

extension System {
  /// Which kernel is loaded: the one that `reboot(.kexec)` starts, or the one that the next panic does.
  public enum KernelSlot: Sendable { case next, crash }

  /// Loads a kernel by kexec_file_load(2) (Linux 3.17), in place of one that is loaded already. The running
  /// kernel copies both files; while it does it needs about three times their size.
  public static func loadKernel(
    _ kernel: String, initrd: String, commandLine: String, _ slot: KernelSlot
  ) throws(DumpError) {
    let kernelFile = try File(kernel, .read)
    let initrdFile = try File(initrd, .read)
    try kexec(kernelFile.descriptor, initrdFile.descriptor, commandLine, slot == .crash ? onCrash : 0, kernel)
  }

  public static func unloadKernel(_ slot: KernelSlot) throws(DumpError) {
    try kexec(-1, -1, "", unload | (slot == .crash ? onCrash : 0), "unloading")
  }

  public static func isKernelLoaded(_ slot: KernelSlot) -> Bool {
    let path = slot == .crash ? "/sys/kernel/kexec_crash_loaded" : "/sys/kernel/kexec_loaded"
    return (try? text(of: path, limit: 8))?.utf8.first == 0x31
  }

  /// KEXEC_FILE_UNLOAD and KEXEC_FILE_ON_CRASH (include/uapi/linux/kexec.h).
  private static let unload: UInt = 1
  private static let onCrash: UInt = 2

  private static func kexec(
    _ kernel: Int32, _ initrd: Int32, _ commandLine: String, _ flags: UInt, _ object: String
  ) throws(DumpError) {
    try whileKexecIsBusy { () throws(DumpError) in
      if let injected = Faults.next(.kexecFileLoad) { throw failure(.kexecFileLoad, injected, object) }
      let code = unsafe mcore_kexec_file_load(kernel, initrd, commandLine, commandLine.utf8.count + 1, flags)
      if code != 0 { throw failure(.kexecFileLoad, -code, object) }
    }
  }

  /// Runs `body` again and again as long as it fails with EBUSY: somebody else loads a kernel just now, or
  /// asks for the memory of the crash kernel. The kernel does not wait for its own lock (kexec_trylock,
  /// kernel/kexec_internal.h, since 6.0; before, mutex_trylock).
  public static func whileKexecIsBusy<Result>(
    milliseconds: Int32 = 20_000, _ body: () throws(DumpError) -> Result
  ) throws(DumpError) -> Result {
    let step: Int32 = 50
    for _ in 0..<milliseconds / step {
      do throws(DumpError) { return try body() } catch {
        guard error.kind == .system(busy) else { throw error }
      }
      pause(milliseconds: step)
    }
    return try body()
  }
}
