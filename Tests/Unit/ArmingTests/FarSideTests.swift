import DumpBasics
import DumpTarget
import Foundation
import TestSupport
import Testing

@testable import Arming
@testable import LinuxSystem

/// A machine with a card, and ssh, curl and mount.nfs in its own root: the kernel's answers are made.
private struct NetworkMachine {
  var fake: FakeMachine
  static let pci = "/sys/devices/pci0000:00/0000:00:03.0"
  static let library = "/usr/lib/x86_64-linux-gnu"

  init() throws {
    fake = try FakeMachine()
    fake.request.targets = []
    let modules = "/lib/modules/6.1.0-test"
    for (path, text) in [
      (
        "\(modules)/modules.dep",
        "k/e1000e.ko: k/ptp.ko\nk/ptp.ko:\nk/8021q.ko:\nk/bonding.ko:\nk/nfs.ko: k/sunrpc.ko\nk/sunrpc.ko:\nk/nfsv4.ko:\nk/phy.ko:\n"
      ), ("\(modules)/k/ptp.ko", "1"), ("\(modules)/k/phy.ko", "2"),
      ("/sys/module/e1000e/x", ""), ("\(NetworkMachine.pci)/net/eth0/address", "52:54:00:01:02:03\n"),
      ("/sys/bus/pci/drivers/e1000e/x", ""), ("/sys/devices/mdio/phy0/x", ""), ("/sys/bus/mdio/drivers/phy/x", ""),
      ("/proc/self/mountinfo", ""), ("/etc/passwd", "root:x:0:0:root:/home/root:/bin/sh\n"),
      ("/etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n"), ("/etc/ld.so.conf.d/a.conf", "# x\n/opt/lib\n"),
      ("/etc/ssl/certs/ca-certificates.crt", "CA"), ("/etc/netconfig", "tcp"), ("/lib/firmware/e1000e/a.bin", "FW"),
    ] { try fake.write(path, text) }
    try link("/sys/class/net/eth0", "../..\(NetworkMachine.pci.dropFirst(4))/net/eth0")
    try link("\(NetworkMachine.pci)/net/eth0/device", "../..")
    try link("\(NetworkMachine.pci)/net/eth0/phydev", "../../../../mdio/phy0")
    try link("\(NetworkMachine.pci)/driver", "../../../bus/pci/drivers/e1000e")
    try link("/sys/bus/pci/drivers/e1000e/module", "../../../../module/e1000e")
    try link("/sys/devices/mdio/phy0/driver", "../../../bus/mdio/drivers/phy")
    try link("/sys/bus/mdio/drivers/phy/module", "../../../../module/phy")
    try write("\(modules)/k/e1000e.ko", module(firmware: ["e1000e/a.bin", "e1000e/none.bin", "../../etc/passwd"]))
    try write("/lib64/ld-linux.so.2", elf([]))
    for (library, needed) in [("libc.so.6", ["ld-linux.so.2"]), ("libz.so.1", ["libc.so.6"]), ("libcurl.so.4", ["libz.so.1"])] {
      try write("\(NetworkMachine.library)/\(library)", elf(needed))
    }
    try write("/opt/lib/libcrypto.so.3", elf(["libc.so.6"]))
    // One of another machine comes first.
    try write("/opt/lib/libz.so.1", elf([], machine: 3))
    try write("/usr/bin/ssh", elf(["libcrypto.so.3", "libz.so.1", "libc.so.6"], interpreter: "/lib64/ld-linux.so.2"))
    try write("/usr/bin/curl", elf(["libcurl.so.4", "libc.so.6"], interpreter: "/lib64/ld-linux.so.2"))
    try write("/usr/sbin/mount.nfs", elf(["libown.so"], interpreter: "/lib64/ld-linux.so.2", runpath: "$ORIGIN/../own"))
    try write("/usr/own/libown.so", elf([]))
    try write("/usr/bin/mount", elf(["libc.so.6"], interpreter: "/lib64/ld-linux.so.2"))
    try key("/etc/key")
    try fake.write("/etc/known", "192.0.2.7 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFmS3i1VQOFjzmbYmHFAjoZoRzfFmS2hT4QX7dVIYPd7\n")
    let eth = NetworkMachine.link(2, "eth0", mac: [0x52, 0x54, 0, 1, 2, 3])
    fake.request.asks = NetworkMachine.answers([2: eth], source: [198, 51, 100, 9], flags: 0)
  }

  func write(_ path: String, _ bytes: [UInt8]) throws {
    try fake.write(path, "")
    try Data(bytes).write(to: URL(fileURLWithPath: fake.request.root + path))
  }

  func link(_ path: String, _ target: String) throws {
    let url = URL(fileURLWithPath: fake.request.root + path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: url.path, withDestinationPath: target)
  }

  func key(_ path: String, passphrase: String = "", mode: Int = 0o600) throws {
    let place = fake.request.root + path
    try? FileManager.default.createDirectory(
      at: URL(fileURLWithPath: place).deletingLastPathComponent(), withIntermediateDirectories: true)
    for name in [place, place + ".pub"] { try? FileManager.default.removeItem(atPath: name) }
    let result = try System.run(
      Command("ssh-keygen", ["-q", "-t", "ed25519", "-N", passphrase, "-f", place], output: .collect), limitSeconds: 20)
    #expect(result.end == .exited(0), "\(result.output)")
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: place)
  }

  func plan(_ settings: String) throws -> ArmPlan {
    try fake.write("/etc/mcore.conf", settings)
    return try ArmPlan(fake.request, Machine(root: fake.request.root))
  }

  // MARK: the kernel's answers

  static func link(
    _ index: UInt32, _ name: String, mac: [UInt8], kind: String? = nil, data: [NetlinkAttribute] = [], parent: UInt32? = nil,
    more: [NetlinkAttribute] = []
  ) -> NetlinkMessage {
    let head = [0, 0, 0, 0] + NetlinkAttribute(0, index).bytes + [UInt8](repeating: 0, count: 8)
    var attributes = [NetlinkAttribute(3, name), NetlinkAttribute(4, UInt32(1500)), NetlinkAttribute(1, mac)] + more
    if let kind { attributes.append(NetlinkAttribute(18, [NetlinkAttribute(1, kind), NetlinkAttribute(2, data)])) }
    if let parent { attributes.append(NetlinkAttribute(5, parent)) }
    return NetlinkMessage(NetlinkMessage.newLink, head: head, attributes)
  }

  /// Every route is by `device` from `source`, by way of 198.51.100.1.
  static func answers(_ links: [UInt32: NetlinkMessage], device: UInt32 = 2, source: [UInt8], flags: UInt32)
    -> NetworkRecorder.Asks
  {
    { (message, object) throws(DumpError) in
      switch message.type {
      case NetlinkMessage.getRoute:
        return [
          NetlinkMessage(
            NetlinkMessage.newRoute, head: [UInt8](repeating: 0, count: 12),
            [NetlinkAttribute(4, device), NetlinkAttribute(7, source), NetlinkAttribute(5, [198, 51, 100, 1])])
        ]
      case NetlinkMessage.getAddress:
        return [
          NetlinkMessage(
            NetlinkMessage.newAddress, head: [2, 24] + [UInt8](repeating: 0, count: 6),
            [NetlinkAttribute(2, source), NetlinkAttribute(8, flags)])
        ]
      default:
        if message.flags & NetlinkMessage.dump != 0 { return links.keys.sorted().compactMap { links[$0] } }
        guard let index = NetlinkAttribute(0, Array(message.head[4..<8])).number, let link = links[index] else {
          throw DumpError("no such device", at: object)
        }
        return [link]
      }
    }
  }
}

/// A kernel module that asks for firmware.
private func module(firmware: [String]) -> [UInt8] {
  let information = Array((["license=GPL"] + firmware.map { "firmware=\($0)" }).joined(separator: "\0").utf8) + [0]
  let names = Array("\0.modinfo\0.shstrtab\0".utf8)
  var bytes = ByteWriter(.little)
  bytes.append([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0] + [UInt8](repeating: 0, count: 32))
  bytes.u64(64)
  bytes.zeros(10)
  bytes.u16(64)
  bytes.u16(3)
  bytes.u16(2)
  let start = 64 + 3 * 64
  for (name, offset, size) in [(0, 0, 0), (1, start, information.count), (10, start + information.count, names.count)] {
    bytes.u32(UInt32(name))
    bytes.zeros(20)
    bytes.u64(UInt64(offset))
    bytes.u64(UInt64(size))
    bytes.zeros(24)
  }
  bytes.append(information + names)
  return bytes.bytes
}

@Suite(.serialized) struct FarSideTests {
  private let ssh = "target=ssh:root@192.0.2.7:/x ssh-key=/etc/key ssh-known-hosts=/etc/known"

  @Test func sshGetsAllThatItNeeds() throws {
    let machine = try NetworkMachine()
    let plan = try machine.plan("\(ssh) level=used")
    #expect(plan.targets.map(\.line) == ["ssh:root@192.0.2.7:/x"])
    #expect(plan.modules == ["k/ptp.ko", "k/e1000e.ko", "k/phy.ko"])
    #expect(
      plan.network?.text()
        == "mcore-network 1\ndevice 0 mac=52:54:00:01:02:03 mtu=1500 driver=e1000e\n"
        + "route 192.0.2.7 address=192.0.2.7 link=0 gateway=198.51.100.1 source=198.51.100.9/24 dhcp\n")
    #expect(
      Set(plan.files.map(\.name)) == [
        "bin/ssh", "lib64/ld-linux.so.2", "usr/lib/x86_64-linux-gnu/libcrypto.so.3", "usr/lib/x86_64-linux-gnu/libz.so.1",
        "usr/lib/x86_64-linux-gnu/libc.so.6", "root/.ssh/key-1", "root/.ssh/known_hosts", "root/.ssh/config",
        "etc/mcore.network", "etc/passwd", "etc/nsswitch.conf", "lib/firmware/e1000e/a.bin",
      ])
    #expect(plan.files.filter(\.isProgram).map(\.name) == ["bin/ssh", "lib64/ld-linux.so.2"])
    #expect(configuration(plan) == "target=ssh:root@192.0.2.7:/x\nlevel=used\n")
    let image = machine.fake.scratch.file("image")
    try build(image, machine.fake.scratch.file("base.img"), plan, nil, try ArmRecord(Machine(root: machine.fake.request.root)))
    let files = try unpacked(Array(try Data(contentsOf: URL(fileURLWithPath: image))), from: 1004)
    let text = { (name: String) in files[name].map { String(decoding: $0, as: UTF8.self) } ?? "" }
    #expect(text("root/.ssh/config") == "Host 192.0.2.7\n  Port 22\n  User root\nHost *\n  IdentityFile /root/.ssh/key-1\n")
    #expect(text("root/.ssh/key-1").hasPrefix("-----BEGIN OPENSSH") && text("root/.ssh/known_hosts").hasPrefix("192.0.2.7 ssh"))
    #expect(text("lib/firmware/e1000e/a.bin") == "FW" && files["usr/lib/x86_64-linux-gnu"] == [] && files["bin"] == nil)
    #expect(files["usr/lib/x86_64-linux-gnu/libz.so.1"] == elf(["libc.so.6"]))
    // It takes room.
    #expect(try machine.plan("target=memory:").neededMemory < plan.neededMemory)
  }

  @Test func whatCanNotBeIsNamed() throws {
    let machine = try NetworkMachine()
    func reason(_ settings: String) throws -> String {
      let plan = try machine.plan(settings)
      #expect(plan.reachable.isEmpty && plan.files.isEmpty && plan.network == nil && plan.modules.isEmpty)
      return plan.targets[0].line
    }
    try machine.key("/etc/key", mode: 0o640)
    #expect(try reason(ssh).contains("mode 0640"))
    try machine.key("/etc/key", passphrase: "secret")
    #expect(try reason(ssh).contains("passphrase"))
    try machine.fake.write("/etc/key", "no key")
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: machine.fake.request.root + "/etc/key")
    #expect(try reason(ssh).contains("no private key"))
    try machine.key("/etc/key")
    #expect(try machine.plan(ssh).targets[0].reason == nil)
    #expect(
      try reason("target=ssh:root@192.0.2.8:/x ssh-key=/etc/key ssh-known-hosts=/etc/known").contains("host key of 192.0.2.8"))
    #expect(try reason("target=ssh:192.0.2.7:2222:/x ssh-key=/etc/key ssh-known-hosts=/etc/known").contains("[192.0.2.7]:2222"))
    #expect(try reason("target=ssh:192.0.2.7:/x ssh-key=/etc/none").contains("/etc/none"))
    try FileManager.default.removeItem(atPath: machine.fake.request.root + "/opt/lib/libcrypto.so.3")
    #expect(try reason(ssh).contains("libcrypto.so.3"))
    try FileManager.default.removeItem(atPath: machine.fake.request.root + "/usr/bin/ssh")
    #expect(try reason(ssh).contains("openssh-client"))
    #expect(try reason("target=https://192.0.2.7/x/ curl-config=/etc/none").contains("/etc/none"))
    // The disk, or memory, is armed all the same.
    #expect(try machine.plan("\(ssh) target=memory:").reachable.map(\.word) == ["memory:"])
  }

  @Test func devicesThatAreNoneAreNamed() throws {
    var machine = try NetworkMachine()
    let bridge = NetworkMachine.link(3, "br0", mac: [2, 0, 0, 0, 0, 1], kind: "bridge")
    machine.fake.request.asks = NetworkMachine.answers([3: bridge], device: 3, source: [198, 51, 100, 9], flags: 0x80)
    #expect(try machine.plan(ssh).targets[0].line.contains("bridge"))
    // A card that the kernel does not show any more.
    let gone = NetworkMachine.link(4, "eth9", mac: [2, 0, 0, 0, 0, 1])
    machine.fake.request.asks = NetworkMachine.answers([4: gone], device: 4, source: [198, 51, 100, 9], flags: 0x80)
    #expect(try machine.plan(ssh).targets[0].line.contains("no such network device"))
  }

  @Test func aVLANNeedsItsModuleAndItsParent() throws {
    var machine = try NetworkMachine()
    let links =
      [
        2: NetworkMachine.link(2, "eth0", mac: [2, 0, 0, 0, 0, 9], more: [NetlinkAttribute(54, [0x52, 0x54, 0, 1, 2, 3])]),
        5: NetworkMachine.link(
          5, "eth0.7", mac: [2, 0, 0, 0, 0, 9], kind: "vlan", data: [NetlinkAttribute(1, UInt16(7))], parent: 2),
      ] as [UInt32: NetlinkMessage]
    machine.fake.request.asks = NetworkMachine.answers(links, device: 5, source: [198, 51, 100, 9], flags: 0x80)
    let plan = try machine.plan(ssh)
    #expect(plan.modules == ["k/ptp.ko", "k/e1000e.ko", "k/phy.ko", "k/8021q.ko"])
    // The card has its own address again after a restart.
    #expect(
      plan.network?.text()
        == "mcore-network 1\ndevice 0 mac=52:54:00:01:02:03 mtu=1500 driver=e1000e\n"
        + "vlan 1 parent=0 tag=7 mac=02:00:00:00:00:09 mtu=1500 driver=-\n"
        + "route 192.0.2.7 address=192.0.2.7 link=1 gateway=198.51.100.1 source=198.51.100.9/24\n")
  }

  /// Two ports of one card as active-backup, both under the address of the first.
  @Test func aBondNeedsItsModuleAndItsDevices() throws {
    var machine = try NetworkMachine()
    try machine.link("/sys/class/net/eth1", "../..\(NetworkMachine.pci.dropFirst(4))/net/eth1")
    try machine.fake.write("\(NetworkMachine.pci)/net/eth1/address", "")
    try machine.link("\(NetworkMachine.pci)/net/eth1/device", "../..")
    let mac = [0x52, 0x54, 0, 1, 2, 3] as [UInt8]
    let master = NetlinkAttribute(10, UInt32(7))
    // Before Linux 5.6 the bond alone tells the second one's own address.
    let slave = NetlinkAttribute(
      18, [NetlinkAttribute(4, "bond"), NetlinkAttribute(5, [NetlinkAttribute(4, [2, 0, 0, 0, 0, 2])])])
    func plan(mode: UInt8) throws -> ArmPlan {
      let data = [
        NetlinkAttribute(1, [mode]), NetlinkAttribute(3, UInt32(0)), NetlinkAttribute(14, [1]), NetlinkAttribute(21, [1]),
      ]
      let links: [UInt32: NetlinkMessage] = [
        2: NetworkMachine.link(2, "eth0", mac: mac, more: [master]),
        3: NetworkMachine.link(3, "eth1", mac: mac, more: [master, slave]),
        7: NetworkMachine.link(7, "bond0", mac: mac, kind: "bond", data: data),
      ]
      machine.fake.request.asks = NetworkMachine.answers(links, device: 7, source: [198, 51, 100, 9], flags: 0x80)
      return try machine.plan(ssh)
    }
    let bonded = try plan(mode: 1)
    #expect(bonded.modules == ["k/ptp.ko", "k/e1000e.ko", "k/phy.ko", "k/bonding.ko"], "\(bonded.lines)")
    #expect(
      bonded.network?.text()
        == "mcore-network 1\ndevice 0 mac=52:54:00:01:02:03 mtu=1500 driver=e1000e\n"
        + "device 1 mac=02:00:00:00:00:02 mtu=1500 driver=e1000e\n"
        + "bond 2 parts=0,1 mode=1 miimon=100 hash=1 rate=1 mac=52:54:00:01:02:03 mtu=1500 driver=-\n"
        + "route 192.0.2.7 address=192.0.2.7 link=2 gateway=198.51.100.1 source=198.51.100.9/24\n")
    #expect(try plan(mode: 6).targets[0].line.contains("bond of this mode"))
  }

  @Test func curlGetsItsOptionsAndWhatTheyName() throws {
    let machine = try NetworkMachine()
    let plain = try machine.plan("target=https://192.0.2.7/x/")
    let names = plain.files.map(\.name)
    #expect(names.contains("bin/curl") && names.contains("usr/lib/x86_64-linux-gnu/libcurl.so.4"))
    #expect(names.contains("etc/ssl/certs/ca-certificates.crt") && !names.contains("bin/ssh"))
    try machine.fake.write("/etc/ca.pem", "OWN")
    try machine.fake.write("/etc/curl.conf", "# x\ncacert = \"/etc/ca.pem\"\nuser = a:b\nproxy=http://u@192.0.2.1:3128/\n")
    let own = try machine.plan("target=https://192.0.2.7/x/ curl-config=/etc/curl.conf")
    #expect(own.files.contains(ImageFile(name: "etc/ca.pem", content: .copy(machine.fake.request.root + "/etc/ca.pem"))))
    #expect(!own.files.contains { $0.name.hasSuffix("ca-certificates.crt") } && own.network?.routes.map(\.host) == ["192.0.2.1"])
    #expect(configuration(own) == "target=https://192.0.2.7/x/\ncurl-config=/etc/mcore-curl.conf\n")
    try machine.fake.write("/etc/curl.conf", "cacert /etc/gone.pem\n")
    #expect(try machine.plan("target=https://192.0.2.7/x/ curl-config=/etc/curl.conf").targets[0].line.contains("/etc/gone.pem"))
    try FileManager.default.removeItem(atPath: machine.fake.request.root + "/etc/ssl/certs/ca-certificates.crt")
    #expect(try machine.plan("target=https://192.0.2.7/x/").targets[0].line.contains("certificates of authorities"))
    #expect(try machine.plan("target=http://192.0.2.7/x/").targets[0].reason == nil)
  }

  @Test func nfsGetsItsModulesAndItsHelper() throws {
    let machine = try NetworkMachine()
    let plan = try machine.plan("target=nfs:192.0.2.7:/x")
    #expect(plan.modules == ["k/ptp.ko", "k/e1000e.ko", "k/phy.ko", "k/sunrpc.ko", "k/nfs.ko", "k/nfsv4.ko"])
    let names = plan.files.map(\.name)
    for name in ["bin/mount", "bin/mount.nfs", "usr/lib/x86_64-linux-gnu/libown.so", "etc/netconfig"] {
      #expect(names.contains(name), "\(name)")
    }
  }

  /// Several targets share one network; a mirror is reached like a target.
  @Test func mirrorsAreReachedToo() throws {
    let machine = try NetworkMachine()
    let plan = try machine.plan("\(ssh) mirror=http://192.0.2.7/x/")
    #expect(plan.lines == ["ssh:root@192.0.2.7:/x", "mirror http://192.0.2.7/x/"])
    #expect(plan.network?.links.count == 1 && plan.network?.routes.count == 1 && plan.files.contains { $0.name == "bin/curl" })
    #expect(configuration(plan) == "target=ssh:root@192.0.2.7:/x\nmirror=http://192.0.2.7/x/\n")
    let alone = try machine.plan("target=memory: mirror=http://192.0.2.7/x/")
    #expect(alone.files.isEmpty && configuration(alone) == "target=memory:\n")
  }

  @Test func damagedProgramsEndNothing() throws {
    let machine = try NetworkMachine()
    let good = elf(["libc.so.6"], interpreter: "/lib64/ld-linux.so.2")
    let path = machine.fake.scratch.file("program")
    for offset in Array(0..<240) + Array(0x800..<0x830) {
      for value in [0, 1, 0x7f, 0xff] as [UInt8] {
        var bad = good
        bad[offset] = value
        try Data(bad).write(to: URL(fileURLWithPath: path))
        _ = try? ELFObject(path)
      }
    }
    for count in stride(from: 0, to: good.count, by: 61) {
      try Data(good[..<count]).write(to: URL(fileURLWithPath: path))
      _ = try? ELFObject(path)
    }
    #expect(throws: DumpError.self) { try ELFObject(machine.fake.scratch.file("vmlinuz")) }
    let bad = module(firmware: ["a"])
    for offset in bad.indices {
      var bytes = bad
      bytes[offset] = 0xff
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      _ = ModuleFiles.firmware(of: path, scratch: path + ".x")
    }
  }

  /// The programs of this machine: what its own loader says is the judge.
  @Test(arguments: ["ssh", "curl"]) func librariesAreThoseOfTheLoader(name: String) throws {
    var programs = ProgramFiles()
    try programs.add(program: name)
    let script = "ldd /usr/bin/\(name) | sed -n 's,.*\\(/[^ ]*\\) (0x.*,\\1,p' | xargs -n1 basename | sort -u"
    let told = try System.run(Command("sh", ["-c", script], output: .collect), limitSeconds: 20)
    let found = Set(programs.files.map { $0.name.split(separator: "/").last.map(String.init) ?? "" }).subtracting([name])
    #expect(found == Set(told.output.split(separator: "\n").map(String.init)) && found.count > 3)
  }

  @Test func optionsOfCurlAreRead() throws {
    for (line, option, value) in [
      ("cacert = \"/a b\"", "cacert", "/a b"), ("--cacert /x", "cacert", "/x"), ("key:/y", "key", "/y"), ("-k", "k", ""),
      ("  proxy=http://h:1", "proxy", "http://h:1"),
    ] {
      let found = try #require(Curl.option(Substring(line).utf8))
      #expect(found.option == option && found.value == value)
    }
    #expect(Curl.option(Substring("# cacert=/x").utf8) == nil && Curl.option(Substring("").utf8) == nil)
    #expect(CurlFiles.host("http://u:p@[::1]:3128/") == "::1" && CurlFiles.host("proxy.example:80") == "proxy.example")
  }
}
