internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem

extension Machine {
  /// Of the paths where dumps go by the settings, those that lie on the root file system: the initramfs of
  /// the next boot has nothing else mounted (initramfs/second-stage.sh). Only the running system knows all
  /// mount points: units of systemd, volumes, binds.
  func dumpPathsOnRoot() -> [String] {
    guard let table = try? System.text(of: "\(root)/proc/self/mountinfo", limit: 4 << 20) else { return [] }
    let points = Set(MountTable.parse(table).map(\.point) + mountUnits)
    let settings = (try? text("/etc/mcore.conf")) ?? ""
    let words = Words.ofFile(settings, "") + Words.ofKernelCommandLine(commandLine)
    var paths: [String] = []
    // Few, and without blanks: all of them have to fit the record.
    for word in words where word.text.utf8.starts(with: "target=/".utf8) && paths.count < 8 {
      let path = String(Substring(word.text.utf8.dropFirst("target=".utf8.count)))
      if path.utf8.count < 256, !path.utf8.contains(0x20), isOnRoot(path, mountPoints: points) { paths.append(path) }
    }
    return paths
  }

  /// Mount points of systemd's units, what it made of /etc/fstab included. Those on the network may come
  /// after `arm`.
  private var mountUnits: [String] {
    let places = ["/etc/systemd/system", "/run/systemd/system", "/run/systemd/generator", "/usr/lib/systemd/system"]
    return places.flatMap { (try? System.names(in: root + $0)) ?? [] }.compactMap(mountPoint(ofUnit:))
  }

  /// Whether `path` leads over the root file system alone, symbolic links followed. No other file system is
  /// touched: one that is mounted on demand would be, and a server that is down would be waited for.
  private func isOnRoot(_ path: String, mountPoints: Set<String>) -> Bool {
    var names = Array(path.utf8.split(separator: 0x2f).reversed())
    var place: [Substring.UTF8View] = []
    var links = 0
    while let name = names.popLast() {
      if name.elementsEqual(".".utf8) { continue }
      if name.elementsEqual("..".utf8) {
        _ = place.popLast()
        continue
      }
      let next = (place + [name]).reduce("") { "\($0)/\(Substring($1))" }
      if mountPoints.contains(next) { return false }
      if let target = System.linkTarget(of: root + next) {
        links += 1
        // As many as the kernel follows (MAXSYMLINKS, include/linux/namei.h).
        if links > 40 { return false }
        if target.utf8.first == 0x2f { place = [] }
        names += target.utf8.split(separator: 0x2f).reversed()
      } else {
        place.append(name)
      }
    }
    return true
  }
}

/// `/var/crash` for `var-crash.mount`: `-` stands for a slash, `\xNN` for another byte (systemd.unit(5),
/// "String Escaping for Inclusion in Unit Names"). Nil for a unit that mounts nothing.
func mountPoint(ofUnit name: String) -> String? {
  let bytes = Array(name.utf8)
  guard let dot = bytes.lastIndex(of: 0x2e), [".mount", ".automount"].contains(String(decoding: bytes[dot...], as: UTF8.self))
  else { return nil }
  var point: [UInt8] = [0x2f]
  var index = 0
  while index < dot {
    let escape = bytes[index..<min(index + 4, dot)]
    if escape.starts(with: "\\x".utf8), let byte = UInt8(String(decoding: escape.dropFirst(2), as: UTF8.self), radix: 16) {
      point.append(byte)
      index += 4
    } else {
      point.append(bytes[index] == 0x2d ? 0x2f : bytes[index])
      index += 1
    }
  }
  return String(decoding: point, as: UTF8.self)
}
