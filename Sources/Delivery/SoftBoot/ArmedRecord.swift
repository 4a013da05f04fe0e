internal import DumpBasics
internal import LinuxSystem

/// What `arm` leaves behind of itself on the normal system, in `/var/lib/mcore/armed`: lines `key value`. One
/// of an earlier boot that does not say `ended` is of a boot that ended in another way than it should.
public struct ArmedRecord: Sendable, Equatable {
  public static let standardPath = "/var/lib/mcore/armed"

  /// Seconds since 1970, UTC.
  public var time: Int64
  public var release: String
  public var bootID: String
  /// What a region has to carry, 32 hexadecimal digits.
  public var nonce: String
  /// Bytes of RAM that the kernel had.
  public var memory: UInt64
  /// What was set aside for the region; nil for memory that is free when the kernel crashes.
  public var window: RegionExtents?
  /// Whether the crash kernel restarts the machine through its firmware, in place of starting the normal
  /// kernel.
  public var isByReset = false
  /// What it starts.
  public var kernel = ""
  public var initrd = ""
  /// Where dumps go by the settings, as far as that is on the root file system: the initramfs of the next
  /// boot can save there.
  public var pathsOnRoot: [String] = []
  /// Where the crash kernel puts the dump, in order, without what may be secret. Empty in a record of mcore
  /// 0.1, which knew memory: alone.
  public var targets: [String] = []
  /// What was set under /proc/sys: `kernel/panic_on_oops=0:1`, with the value before.
  public var sysctls: [String] = []
  /// Bytes of memory that it was known to need.
  public var neededMemory: UInt64 = 0
  /// Whether the system went down in order after it: then it is no sign of a crash.
  public var isEnded = false
  /// When those boots were armed that ended without `disarm`, one after the other, the last ones of them.
  public var crashes: [Int64] = []

  public init(time: Int64, release: String, bootID: String, nonce: String, memory: UInt64) {
    (self.time, self.release, self.bootID, self.nonce, self.memory) = (time, release, bootID, nonce, memory)
  }

  /// Nil where there is none, or none that is understood.
  public init?(readFrom path: String) {
    guard let values = keyedLines(of: path) else { return nil }
    self.init(values)
  }

  /// Nil where a line is missing.
  init?(_ values: [String: String]) {
    guard let time = values["time"].flatMap({ Int64($0) }), let release = values["release"], let bootID = values["boot-id"],
      let nonce = values["nonce"], let memory = values["memory"].flatMap({ UInt64($0) })
    else { return nil }
    self.init(time: time, release: release, bootID: bootID, nonce: nonce, memory: memory)
    window = values["window"].flatMap { try? RegionExtents(word: $0) }
    isByReset = values["way"] == "reset"
    (kernel, initrd) = (values["kernel"] ?? "", values["initrd"] ?? "")
    pathsOnRoot = words(of: values["on-root"])
    targets = words(of: values["targets"]).map(withBlanks)
    sysctls = words(of: values["sysctls"])
    neededMemory = values["needs"].flatMap { UInt64($0) } ?? 0
    isEnded = values["ended"] == "yes"
    crashes = words(of: values["crashes"]).compactMap { Int64($0) }
  }

  public var text: String {
    var text = "time \(time)\nrelease \(release)\nboot-id \(bootID)\nnonce \(nonce)\nmemory \(memory)\n"
    text += "way \(isByReset ? "reset" : "kexec")\nkernel \(kernel)\ninitrd \(initrd)\n"
    if !pathsOnRoot.isEmpty { text += "on-root \(pathsOnRoot.joined(separator: " "))\n" }
    if !targets.isEmpty { text += "targets \(targets.map(withoutBlanks).joined(separator: " "))\n" }
    if !sysctls.isEmpty { text += "sysctls \(sysctls.joined(separator: " "))\n" }
    if neededMemory > 0 { text += "needs \(neededMemory)\n" }
    if isEnded { text += "ended yes\n" }
    if let window { text += "window \(window.text)\n" }
    if !crashes.isEmpty { text += "crashes \(crashes.map(String.init).joined(separator: " "))\n" }
    return text
  }
}

extension ArmedRecord {
  /// Whether the soft boot is among the ways, and whether the crash kernel saves by itself: to a disk, or to
  /// another machine.
  public var usesMemory: Bool { targets.isEmpty || targets.contains { $0.utf8.starts(with: "memory:".utf8) } }
  public var savesDirectly: Bool { targets.contains { !$0.utf8.starts(with: "memory:".utf8) } }
}

/// A blank would make two words of one: it is written as in a URL.
private func withoutBlanks(_ word: String) -> String {
  let bytes = word.utf8.flatMap { byte in
    byte <= 0x20 || byte == 0x25 ? Array("%\(padded(byte, 2, radix: 16))".utf8) : [byte]
  }
  return String(decoding: bytes, as: UTF8.self)
}

private func withBlanks(_ word: String) -> String {
  var bytes: [UInt8] = []
  var rest = Array(word.utf8)[...]
  while let byte = rest.popFirst() {
    if byte == 0x25, rest.count >= 2, let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
      bytes.append(code)
      rest = rest.dropFirst(2)
    } else {
      bytes.append(byte)
    }
  }
  return String(decoding: bytes, as: UTF8.self)
}

private func words(of value: String?) -> [String] { (value ?? "").utf8.split(separator: 0x20).map { String(Substring($0)) } }

/// Lines `key value`; of two with one key the last one. Nil where the file can't be read.
func keyedLines(of path: String) -> [String: String]? {
  guard let text = try? System.text(of: path, limit: 4096) else { return nil }
  var values: [String: String] = [:]
  for line in text.utf8.split(separator: 0x0a) {
    let parts = line.split(separator: 0x20, maxSplits: 1)
    if parts.count == 2 { values[String(Substring(parts[0]))] = String(Substring(parts[1])) }
  }
  return values
}
