internal import DumpBasics
internal import LinuxSystem

/// The order in which ssh offers its ciphers.
///
/// The client's order decides (RFC 4253, section 7.1), and OpenSSH's begins with chacha20-poly1305, which is
/// the fastest where a CPU has no instructions for AES. Where it has them, AES-GCM takes a third of the time.
enum SSHCiphers {
  /// What `ssh -G` says it would offer, the same ciphers with AES-GCM first. So whatever the machine's
  /// configuration rules out stays out. Nil where nothing is to be changed, or nothing can be said.
  static func preferred(configuration: String, cpuinfo: String) -> String? {
    guard hasAES(cpuinfo: cpuinfo), let line = line(of: configuration, with: "ciphers "),
      let offered = line.split(atFirst: "ciphers ")?.after
    else { return nil }
    let names = offered.utf8.split(separator: 0x2c).map { String(decoding: $0, as: UTF8.self) }
    let fast = names.filter { $0.utf8.starts(with: "aes".utf8) && $0.split(atFirst: "-gcm@") != nil }
    guard !fast.isEmpty else { return nil }
    return (fast + names.filter { !fast.contains($0) }).joined(separator: ",")
  }

  /// Of the first CPU: `flags` on x86 (arch/x86/kernel/cpu/proc.c), `Features` on arm64
  /// (arch/arm64/kernel/cpuinfo.c).
  private static func hasAES(cpuinfo: String) -> Bool {
    for line in cpuinfo.utf8.split(separator: 0x0a)
    where line.starts(with: "flags".utf8) || line.starts(with: "Features".utf8) {
      return line.split(separator: 0x20).contains { $0.elementsEqual("aes".utf8) }
    }
    return false
  }
}
