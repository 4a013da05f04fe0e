internal import DumpBasics
internal import LinuxSystem

/// Parameters that this machine gives its modules: `options NAME ...` of modprobe.d(5), and `NAME.parameter=`
/// on the kernel command line, which holds for a module too when modprobe loads it.
struct ModuleOptions {
  private var parameters: [String: [String]] = [:]

  init(_ machine: Machine) {
    // A file hides one of the same name in a later directory.
    var seen: Set<String> = []
    for directory in [
      "/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d",
    ] {
      for name in (try? System.names(in: machine.root + directory)) ?? []
      where name.utf8.suffix(5).elementsEqual(".conf".utf8) && seen.insert(name).inserted {
        read((try? machine.text("\(directory)/\(name)")) ?? "")
      }
    }
    for word in Words.split(Array(machine.commandLine.utf8)) {
      let bytes = Array(word.utf8)
      guard let dot = bytes.firstIndex(of: 0x2e), dot > 0, dot < bytes.firstIndex(of: 0x3d) ?? bytes.count else { continue }
      add(String(decoding: bytes[..<dot], as: UTF8.self), [String(decoding: bytes[(dot + 1)...], as: UTF8.self)])
    }
  }

  /// With a blank in front of each.
  func text(for module: String) -> String { (parameters[module] ?? []).map { " " + $0 }.joined() }

  /// A backslash at the end of a line joins the next one to it.
  private mutating func read(_ text: String) {
    var line: [UInt8] = []
    for piece in text.utf8.split(separator: 0x0a, omittingEmptySubsequences: false) {
      line += piece
      if line.last == 0x5c {
        line[line.count - 1] = 0x20
        continue
      }
      let words = line.split(whereSeparator: { $0 == 0x20 || $0 == 0x09 }).map { String(decoding: $0, as: UTF8.self) }
      line = []
      if words.count > 2, words[0] == "options" { add(words[1], Array(words.dropFirst(2))) }
    }
  }

  private mutating func add(_ module: String, _ words: [String]) {
    // What would end the line, or begin a comment, in the list of modules.
    let plain = words.filter { word in !word.utf8.contains { $0 < 0x20 } && word.utf8.first != 0x23 }
    parameters[ModuleIndex.canonical(module), default: []] += plain
  }
}
