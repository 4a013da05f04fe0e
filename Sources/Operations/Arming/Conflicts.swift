internal import DumpBasics
internal import LinuxSystem

/// What on this machine keeps a crash kernel from doing its work.
extension Machine {
  /// Other programs that load a crash kernel of their own: whichever comes last holds, and which that was
  /// can't be told.
  var rivals: [String] {
    var found: [String] = []
    let wanted = "\(root)/etc/systemd/system/multi-user.target.wants"
    for unit in ["kdump-tools.service", "kdump.service"] where System.linkTarget(of: "\(wanted)/\(unit)") != nil {
      // Debian's is switched off by its file of defaults too.
      if unit == "kdump-tools.service", let text = try? text("/etc/default/kdump-tools"),
        shellValue("USE_KDUMP", in: text) != "1"
      {
        continue
      }
      found.append(unit)
    }
    return found
  }

  /// The last value that a file for the shell gives a variable, without quotes and what follows a blank; nil
  /// where it gives none.
  private func shellValue(_ name: String, in text: String) -> String? {
    var value: String?
    for line in text.utf8.split(separator: 0x0a) {
      let line = line.drop { $0 == 0x20 || $0 == 0x09 }
      guard line.starts(with: "\(name)=".utf8) else { continue }
      let behind = line.dropFirst(name.utf8.count + 1).prefix { ![0x20, 0x09, 0x0d, 0x23, 0x3b].contains($0) }
      value = String(Substring(behind)).filter { $0 != "\"" && $0 != "'" }
    }
    return value
  }

  /// Major and minor number of the kernel's release.
  var version: (Int, Int) {
    let parts = release.utf8.split(whereSeparator: { !(0x30...0x39).contains($0) }).prefix(2).map {
      Int(String(Substring($0))) ?? 0
    }
    return parts.count == 2 ? (parts[0], parts[1]) : (0, 0)
  }

  /// A kernel before 7.1 with Kexec HandOver hands its data to the crash kernel too, which dies of it in
  /// kho_memory_init().
  var isHandingOver: Bool {
    if version >= (7, 1) { return false }
    if let word = word("kho=") { return ["on", "1", "y", "yes", "true"].contains(word) }
    return System.kind(of: "\(root)/sys/kernel/debug/kho/out") != nil
  }
}
