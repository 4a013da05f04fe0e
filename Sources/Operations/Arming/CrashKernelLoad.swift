internal import DumpBasics
internal import LinuxSystem

// The crash kernel goes into its memory by kexec_file_load(2), which needs nothing but the kernel. Where the
// kernel was built without it (CONFIG_KEXEC_FILE: Debian's arm64 kernels), kexec-tools does it by
// kexec_load(2).

private let kexecLimit: UInt64 = 120

/// Loads the crash kernel. Which of the two ways is taken is found by trying.
func loadCrashKernel(_ kernel: String, initrd: String, commandLine: String) throws(DumpError) {
  do throws(DumpError) {
    try System.loadKernel(kernel, initrd: initrd, commandLine: commandLine, .crash)
  } catch {
    guard error.kind == .system(System.notImplemented) else { throw error }
    try kexec(["-c", "-p", kernel, "--initrd=\(initrd)", "--command-line=\(commandLine)"])
    guard System.isKernelLoaded(.crash) else {
      throw DumpError("kexec said that it loaded a crash kernel, and none is loaded", at: "/sys/kernel/kexec_crash_loaded")
    }
  }
}

/// The other way round.
func unloadCrashKernel() throws(DumpError) {
  do throws(DumpError) { try System.unloadKernel(.crash) } catch {
    guard error.kind == .system(System.notImplemented) else { throw error }
    try kexec(["-c", "-p", "-u"])
  }
}

private func kexec(_ words: [String]) throws(DumpError) {
  guard let program = System.program(named: "kexec") ?? System.program(named: "/sbin/kexec") else {
    throw DumpError(
      .unsupported, "this kernel has no kexec_file_load(2), and the program kexec, which does without, is not there", at: "kexec",
      advice: "install kexec-tools")
  }
  let result = try System.run(Command(program, words, output: .collect), limitSeconds: kexecLimit)
  guard result.end == .exited(0) else {
    throw DumpError("kexec failed: \(printable(result.output.isEmpty ? "\(result.end)" : result.output))", at: program)
  }
}
