internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem

/// All that a crash kernel needs to reach other machines: the network, programs, keys, certificates. It grows
/// with each target; one that can't be reached leaves no trace, since whoever adds it goes on with the kit
/// from before.
struct FarSideKit {
  private(set) var recorder: NetworkRecorder
  /// Settings for the crash kernel in place of those here.
  private(set) var words: [String] = []
  private let machine: Machine
  private let index: ModuleIndex
  private var programs: ProgramFiles
  private var ssh = SSHFiles()
  private var others: [ImageFile] = []

  /// Those whose values are paths of this system.
  static let pathKeys = ["ssh-key", "ssh-known-hosts", "curl-config"]

  init(_ machine: Machine, _ index: ModuleIndex, asks: NetworkRecorder.Asks?) {
    (self.machine, self.index) = (machine, index)
    recorder = NetworkRecorder(root: machine.root, asks: asks)
    programs = ProgramFiles(root: machine.root)
  }

  /// - Parameter settings: words `key=value`, of which the last one counts.
  /// - Returns: the modules that it takes.
  /// - Throws: why a crash kernel can't get there.
  mutating func add(_ farSide: TargetSpec.FarSide, settings: [String]) throws(DumpError) -> [String] {
    var modules: [String] = []
    var reached: String
    switch farSide {
    case .ssh(let user, let host, let port):
      reached = host
      try programs.add(program: "ssh", as: "bin/ssh", package: "openssh-client")
      try ssh.add(
        host, user: user, port: port, key: value("ssh-key", settings), known: value("ssh-known-hosts", settings), machine)
      // Of a C library that keeps them apart (before glibc 2.34).
      for library in ["libnss_files.so.2", "libresolv.so.2"] { programs.addOptional(library: library, for: "ssh") }
    case .http(let host, let isSecure):
      reached = host
      try programs.add(program: "curl", as: "bin/curl", package: "curl")
      let config = value("curl-config", settings)
      let curl = try CurlFiles(config, isSecure: isSecure, machine)
      if config != nil { words = ["curl-config=/\(CurlFiles.configuration)"] }
      if let proxy = curl.proxy { reached = proxy }
      for file in curl.files where !others.contains(where: { $0.name == file.name }) { others.append(file) }
      programs.addOptional(library: "libnss_files.so.2", for: "curl")
    case .nfs(let host):
      reached = host
      // busybox's mount calls no helper for it.
      try programs.add(program: "mount", as: "bin/mount", package: "mount")
      try programs.add(program: "mount.nfs", as: "bin/mount.nfs", package: "nfs-common")
      programs.addOptional(library: "libnss_files.so.2", for: "mount.nfs")
      // For version 3 it looks names of protocols and programs up (getprotobyname(3), getrpcbyname(3)).
      for path in ["/etc/netconfig", "/etc/nfsmount.conf", "/etc/protocols", "/etc/rpc", "/etc/services"]
      where System.kind(of: machine.root + path) == .regular {
        let file = ImageFile(name: String(path.dropFirst()), content: .copy(machine.root + path))
        if !others.contains(file) { others.append(file) }
      }
      // The versions are asked for by name when it is mounted.
      modules += ["nfs"] + ["nfsv3", "nfsv4"].filter { index.has($0) }
    }
    try recorder.add(reached)
    var chain = DeviceChain(machine, index)
    for device in recorder.devices { try chain.add(networkDevice: device) }
    if recorder.record.links.contains(where: { $0.vlan != nil }) { modules.append("8021q") }
    if recorder.record.links.contains(where: { $0.bond != nil }) { modules.append("bonding") }
    if recorder.record.routes.contains(where: { $0.address.count == 16 }), index.has("ipv6") { modules.append("ipv6") }
    modules = chain.modules + modules
    // All that is needed is there.
    _ = try index.loadOrder(modules)
    return modules
  }

  var isEmpty: Bool { recorder.record.routes.isEmpty }

  /// In the crash initramfs.
  var files: [ImageFile] {
    if isEmpty { return [] }
    return programs.files + ssh.files(machine) + others + [
      ImageFile(name: String(NetworkRecord.standardPath.dropFirst()), content: .text(recorder.record.text())),
      // ssh asks for its user's home, and curl and it for the names in /etc/hosts.
      ImageFile(name: "etc/passwd", content: .text("root:x:0:0:root:/root:/bin/sh\n")),
      ImageFile(name: "etc/nsswitch.conf", content: .text("passwd: files\ngroup: files\nhosts: files\n")),
    ]
  }
}

/// The value of a key in words `key=value`, of which the last one counts; nil where there is none.
func value(_ key: String, _ settings: [String]) -> String? {
  settings.last { $0.utf8.starts(with: "\(key)=".utf8) }.map { String(Substring($0.utf8.dropFirst(key.utf8.count + 1))) }
}
