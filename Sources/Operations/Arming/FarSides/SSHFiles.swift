internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem

/// What ssh goes by on this machine, for the crash kernel: keys, host keys, settings. There they lie in
/// /root/.ssh, whatever they are called here.
struct SSHFiles: Equatable {
  /// Private keys, by their paths here.
  private(set) var keys: [String] = []
  private(set) var knownHosts: [String] = []
  /// Settings of each host that stand in no target word.
  private(set) var hosts: [String: String] = [:]
  private static let home = "root/.ssh"

  /// - Parameters:
  ///   - key, known: of the settings; nil: as ssh is set up for root.
  /// - Throws: why ssh would not get there by itself.
  mutating func add(
    _ host: String, user: String?, port: UInt64?, key: String?, known: String?, _ machine: Machine
  ) throws(DumpError) {
    let settings = try SSHSettings(host, user: user, port: port)
    if let way = settings["proxyjump"] ?? settings["proxycommand"], way != "none" {
      throw DumpError(
        "ssh gets there by way of another machine (\(way)), which a crash kernel does not", at: host,
        advice: "name a host that is reached directly, or write target=memory: behind it")
    }
    if let name = settings["hostname"], name != host.lowercased() {
      throw DumpError("ssh's own settings call this host \(name)", at: host, advice: "write that name into the target")
    }
    try addKeys(key.map { [$0] } ?? settings.all("identityfile"), isNamed: key != nil, host, machine)

    let files = known.map { [$0] } ?? settings.words("userknownhostsfile") + settings.words("globalknownhostsfile")
    let there = files.map { machine.home($0) }.filter { System.kind(of: machine.root + $0) == .regular }
    let alias = settings["hostkeyalias"]
    let port = port ?? settings["port"].flatMap { UInt64($0) } ?? 22
    try requireKnown(alias ?? (port == 22 ? host : "[\(host)]:\(port)"), there.map { machine.root + $0 }, files)
    for file in there where !knownHosts.contains(file) { knownHosts.append(file) }

    var lines = "Host \(host)\n  Port \(port)\n"
    if let user = user ?? settings["user"] { lines += "  User \(user)\n" }
    if let alias { lines += "  HostKeyAlias \(alias)\n" }
    hosts[host] = lines
  }

  /// Of several that ssh tries by itself one is enough.
  private mutating func addKeys(_ paths: [String], isNamed: Bool, _ host: String, _ machine: Machine) throws(DumpError) {
    var reason: DumpError?
    var isFound = false
    for path in paths.map({ machine.home($0) }) where isNamed || System.kind(of: machine.root + path) != nil {
      do throws(DumpError) {
        try PrivateKey.require(machine.root + path)
        if !keys.contains(path) { keys.append(path) }
        isFound = true
      } catch { reason = reason ?? error }
    }
    if isFound { return }
    throw reason
      ?? DumpError(
        "there is no private key for ssh: nobody is there to type a password in a crash kernel", at: host,
        advice: "make one with ssh-keygen -N '', name it by ssh-key=, and put its public key into authorized_keys there")
  }

  /// Without ssh-keygen nothing is known of that.
  private func requireKnown(_ name: String, _ paths: [String], _ files: [String]) throws(DumpError) {
    for path in paths {
      let command = Command("ssh-keygen", ["-F", name, "-f", path], output: .collect)
      guard let result = try? System.run(command, limitSeconds: 20), result.end == .exited(1) else { return }
    }
    throw DumpError(
      "the host key of \(name) is not among those that are known", at: files.first ?? "known_hosts",
      advice: "log in once by hand, or ssh-keyscan, compare the fingerprint, and put it there")
  }

  /// In the crash initramfs.
  func files(_ machine: Machine) -> [ImageFile] {
    if hosts.isEmpty { return [] }
    var files: [ImageFile] = []
    var settings = hosts.keys.sorted().reduce("") { $0 + (hosts[$1] ?? "") } + "Host *\n"
    for (number, key) in keys.enumerated() {
      let name = "\(SSHFiles.home)/key-\(number + 1)"
      settings += "  IdentityFile /\(name)\n"
      files.append(ImageFile(name: name, content: .copy(machine.root + key)))
      let certificate = machine.root + key + "-cert.pub"
      if System.kind(of: certificate) == .regular {
        files.append(ImageFile(name: name + "-cert.pub", content: .copy(certificate)))
      }
    }
    let known = knownHosts.map { ((try? System.text(of: machine.root + $0, limit: 4 << 20)) ?? "") + "\n" }.joined()
    files.append(ImageFile(name: "\(SSHFiles.home)/known_hosts", content: .text(known)))
    files.append(ImageFile(name: "\(SSHFiles.home)/config", content: .text(settings)))
    return files
  }
}

/// What ssh would go by: the lines of `ssh -G`.
struct SSHSettings {
  private let values: [(key: String, value: String)]

  init(_ text: String) {
    values = text.utf8.split(separator: 0x0a).compactMap { line in
      let parts = line.split(separator: 0x20, maxSplits: 1).map { String(Substring($0)) }
      return parts.count == 2 ? (parts[0], parts[1]) : nil
    }
  }

  init(_ host: String, user: String?, port: UInt64?) throws(DumpError) {
    let words = (user.map { ["-l", $0] } ?? []) + (port.map { ["-p", "\($0)"] } ?? [])
    // The lists of ciphers are longer than the output that is kept.
    let keys = "hostname|user|port|identityfile|userknownhostsfile|globalknownhostsfile|proxyjump|proxycommand|hostkeyalias"
    let script = "ssh -G \"$@\" | grep -E '^(\(keys)) '"
    let command = Command("sh", ["-c", script, "sh"] + words + ["--", host], output: .collect)
    let result = try System.run(command, limitSeconds: 20)
    guard result.end == .exited(0) else { throw DumpError("ssh does not tell its settings: \(result.output)", at: host) }
    self.init(result.output)
  }

  subscript(_ key: String) -> String? { values.first { $0.key == key }?.value }
  func all(_ key: String) -> [String] { values.filter { $0.key == key }.map(\.value) }
  func words(_ key: String) -> [String] { (self[key] ?? "").utf8.split(separator: 0x20).map { String(Substring($0)) } }
}

/// A private key of ssh, which has to work where nobody is asked.
enum PrivateKey {
  private static let advice = "make one with ssh-keygen -N '' for this alone, and name it by ssh-key="

  /// - Throws: where it is missing, others can read it, it has a passphrase, or a token holds it.
  static func require(_ path: String) throws(DumpError) {
    let text = try System.text(of: path, limit: 1 << 16)
    if let mode = System.permissions(of: path), mode & 0o077 != 0 {
      throw DumpError(
        "others than its owner can read this key (mode 0\(String(mode, radix: 8))): ssh does not use it", at: path,
        advice: "chmod 600 \(path)")
    }
    let lines = text.utf8.split(separator: 0x0a)
    guard let first = lines.first, first.starts(with: "-----BEGIN ".utf8) else {
      throw DumpError("this is no private key", at: path, advice: advice)
    }
    let encrypted = DumpError(
      "this key has a passphrase, and nobody is there to type it in a crash kernel", at: path, advice: advice)
    guard first.elementsEqual("-----BEGIN OPENSSH PRIVATE KEY-----".utf8) else {
      let marks = ["-----BEGIN ENCRYPTED", "Proc-Type: 4,ENCRYPTED"]
      if lines.contains(where: { line in marks.contains { line.starts(with: $0.utf8) } }) { throw encrypted }
      return
    }
    // PROTOCOL.key of OpenSSH: the cipher's name, that of the derivation and its options, how many keys, the
    // public one.
    let bytes = ByteReader(base64(lines.dropFirst().prefix { $0.first != 0x2d }.joined()), .big)
    let damaged = DumpError("this private key is damaged", at: path, advice: advice)
    guard bytes.text(0, limit: 15) == "openssh-key-v1" else { throw damaged }
    var place = 15
    func next() -> [UInt8]? {
      guard let length = bytes.u32(place), let slice = bytes.slice(place + 4, Int(length)) else { return nil }
      place += 4 + Int(length)
      return slice
    }
    guard let cipher = next(), next() != nil, next() != nil, bytes.u32(place) == 1 else { throw damaged }
    place += 4
    guard let publicKey = next().map({ ByteReader($0, .big) }), let length = publicKey.u32(0),
      let type = publicKey.slice(4, Int(length))
    else { throw damaged }
    if cipher != Array("none".utf8) { throw encrypted }
    if type.starts(with: "sk-".utf8) { throw DumpError("this key is in a security token", at: path, advice: advice) }
  }

  /// What is no digit is passed over.
  private static func base64(_ text: some Sequence<UInt8>) -> [UInt8] {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var bytes: [UInt8] = []
    var (value, bits): (UInt32, Int) = (0, 0)
    for byte in text {
      guard let digit = digits.firstIndex(of: byte) else { continue }
      value = (value & 0xff) << 6 | UInt32(digit)
      bits += 6
      if bits >= 8 {
        bits -= 8
        bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(bits)))
      }
    }
    return bytes
  }
}

extension Machine {
  /// A path as ssh writes it, with root's home in place of `~`.
  func home(_ path: String) -> String {
    guard path.utf8.starts(with: "~/".utf8) || path.utf8.starts(with: "%d/".utf8) else { return path }
    let lines = ((try? text("/etc/passwd")) ?? "").utf8.split(separator: 0x0a)
    let line = lines.first { $0.starts(with: "root:".utf8) }?.split(separator: 0x3a, omittingEmptySubsequences: false) ?? []
    let home = line.count > 5 ? String(Substring(line[5])) : "/root"
    return home + String(Substring(path.utf8.drop { $0 != 0x2f }))
  }
}
