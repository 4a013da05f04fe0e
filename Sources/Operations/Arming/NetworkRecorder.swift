internal import DumpBasics
public import DumpTarget
internal import LinuxSystem

/// Records how this machine reaches the far sides of targets (`NetworkRecord`). Names are resolved now: a
/// crash kernel asks nobody.
public struct NetworkRecorder: Sendable {
  /// Asks the kernel (`Netlink.answers`); tests have answers of their own.
  typealias Asks = @Sendable (_ message: NetlinkMessage, _ object: String) throws(DumpError) -> [NetlinkMessage]

  public private(set) var record = NetworkRecord()
  /// What can't be rebuilt in a crash kernel, one line each.
  public private(set) var problems: [String] = []
  /// The devices that are recorded, by the kernel's names; not what is made anew.
  private(set) var devices: [String] = []
  /// Links that are recorded, by their index in the kernel.
  private var known: [UInt32: Int] = [:]
  private let root: String
  private let asks: Asks

  /// `targets` are TARGET words; those without a far side are passed over.
  public init(_ targets: [String]) {
    self.init()
    for word in targets {
      do throws(DumpError) {
        if let host = try TargetSpec(word).host { try add(host) }
      } catch { problems.append(error.description) }
    }
  }

  init(root: String = "", asks: Asks? = nil) {
    self.root = root
    if let asks { self.asks = asks } else { self.asks = NetworkRecorder.askKernel }
  }

  private static func askKernel(_ message: NetlinkMessage, _ object: String) throws(DumpError) -> [NetlinkMessage] {
    let netlink = try Netlink()
    return try netlink.answers(to: message, about: object)
  }

  mutating func add(_ host: String) throws(DumpError) {
    if record.routes.contains(where: { $0.host == host }) { return }
    let address = try NetworkRecorder.resolve(host)
    let family = NetworkAddress.family(address)
    let size = UInt8(truncatingIfNeeded: address.count * 8)
    let request = NetlinkMessage(
      NetlinkMessage.getRoute, head: [family, size] + [UInt8](repeating: 0, count: 10), [NetlinkAttribute(1, address)])
    let answers = try asks(request, "the way to \(host)")
    guard let route = answers.first(where: { $0.type == NetlinkMessage.newRoute }) else {
      throw DumpError("the kernel knows no way there", at: host)
    }
    // RTN_LOCAL.
    if route.head[7] == 2 { throw DumpError("it is this machine itself: its dump has to go elsewhere", at: host) }
    guard let index = route[4].flatMap({ NetlinkAttribute(4, $0).number }), let source = route[7] else {
      throw DumpError("the way there has no device or no source address", at: host)
    }
    let link = try self.link(index, depth: 0)
    let (prefix, isLeased) = try own(source)
    record.routes.append(
      NetworkRecord.Route(
        host: host, address: address, link: link, gateway: route[5], source: source, prefix: prefix, isLeased: isLeased))
  }

  /// The first address that this machine would connect to.
  private static func resolve(_ host: String) throws(DumpError) -> [UInt8] {
    if let address = NetworkAddress.bytes(host) { return address }
    let result = try System.run(Command("getent", ["ahosts", host], output: .collect), limitSeconds: 30)
    for line in result.output.utf8.split(separator: 0x0a) {
      if let word = line.split(separator: 0x20).first, let address = NetworkAddress.bytes(String(decoding: word, as: UTF8.self)) {
        return address
      }
    }
    throw DumpError("the name does not resolve", at: host)
  }

  /// Of a source address: how much of the network stands behind it, and whether it is ours for a time only:
  /// one of DHCP has an end, and so lacks IFA_F_PERMANENT.
  private func own(_ source: [UInt8]) throws(DumpError) -> (prefix: UInt8, isLeased: Bool) {
    let request = NetlinkMessage(
      NetlinkMessage.getAddress, flags: NetlinkMessage.dump,
      head: [NetworkAddress.family(source)] + [UInt8](repeating: 0, count: 7))
    for answer in try asks(request, "addresses") where answer.type == NetlinkMessage.newAddress {
      if answer[2] ?? answer[1] == source {
        let flags = answer[8].flatMap { NetlinkAttribute(8, $0).number } ?? UInt32(answer.head[2])
        return (answer.head[1], source.count == 4 && flags & NetworkRecorder.isPermanent == 0)
      }
    }
    return (UInt8(truncatingIfNeeded: source.count * 8), false)
  }

  /// IFA_F_PERMANENT.
  private static let isPermanent: UInt32 = 0x80

  private mutating func link(_ index: UInt32, depth: Int) throws(DumpError) -> Int {
    if let number = known[index] { return number }
    let head = [0, 0, 0, 0] + NetlinkAttribute(0, index).bytes + [UInt8](repeating: 0, count: 8)
    let answers = try asks(NetlinkMessage(NetlinkMessage.getLink, head: head), "device \(index)")
    guard let answer = answers.first(where: { $0.type == NetlinkMessage.newLink }),
      let name = answer[3].map({ NetlinkAttribute(3, $0).text }), let mtu = answer[4].flatMap({ NetlinkAttribute(4, $0).number })
    else { throw DumpError("the kernel does not tell of this device", at: "device \(index)") }
    guard let current = answer[1], current.count == 6 else {
      throw DumpError("a device without an Ethernet address can't be rebuilt", at: name)
    }
    let information = NetlinkAttribute.parse((answer[18] ?? [])[...])
    let kind = information.first { $0.type == 1 }?.text
    // A restart takes a card's own address back (IFLA_PERM_ADDRESS, Linux 5.6; a bond
    // gives its own to all its devices).
    let part = NetlinkAttribute.parse((information.first { $0.type == 5 }?.bytes ?? [])[...])
    let own = (answer[54] ?? part.first { $0.type == 4 }?.bytes).flatMap { $0.count == 6 && $0.contains { $0 != 0 } ? $0 : nil }
    var link = NetworkRecord.Link(mac: kind == nil ? own ?? current : current, mtu: mtu, driver: driver(name))
    switch kind {
    // Virtual Ethernet is told apart by its address like a card.
    case nil, "veth": break
    case "vlan":
      let data = NetlinkAttribute.parse((information.first { $0.type == 2 }?.bytes ?? [])[...])
      guard depth < 4, let parent = answer[5].flatMap({ NetlinkAttribute(5, $0).number }),
        let tag = data.first(where: { $0.type == 1 })?.bytes, tag.count == 2
      else { throw DumpError("the VLAN's parent or tag is unknown", at: name) }
      link.vlan = NetworkRecord.Link.VLAN(
        parent: try self.link(parent, depth: depth + 1), tag: UInt16(tag[0]) | UInt16(tag[1]) << 8)
    case "bond":
      let data = NetlinkAttribute.parse((information.first { $0.type == 2 }?.bytes ?? [])[...])
      link.bond = try bond(index, name, data, depth: depth)
    case let other?: throw DumpError("a device of the kind \(other) can't be rebuilt in a crash kernel", at: name)
    }
    if System.kind(of: "\(root)/sys/class/net/\(name)/wireless") != nil {
      throw DumpError("a wireless device can't be rebuilt in a crash kernel", at: name)
    }
    if kind == nil || kind == "veth" { devices.append(name) }
    known[index] = record.links.count
    record.links.append(link)
    return record.links.count - 1
  }

  /// Active-backup and 802.3ad: what others do in a crash kernel with one CPU is not known.
  private mutating func bond(
    _ index: UInt32, _ name: String, _ data: [NetlinkAttribute], depth: Int
  ) throws(DumpError) -> NetworkRecord.Link.Bond {
    func value(_ type: UInt16) -> [UInt8]? { data.first { $0.type == type }?.bytes }
    guard let mode = value(1)?.first, mode == 1 || mode == 4, depth < 4 else {
      throw DumpError("a bond of this mode can't be rebuilt in a crash kernel (active-backup and 802.3ad can)", at: name)
    }
    let request = NetlinkMessage(NetlinkMessage.getLink, flags: NetlinkMessage.dump, head: [UInt8](repeating: 0, count: 16))
    var parts: [Int] = []
    for answer in try asks(request, "devices") where answer.type == NetlinkMessage.newLink && parts.count < 8 {
      guard let master = answer[10].flatMap({ NetlinkAttribute(10, $0).number }), master == index,
        let part = NetlinkAttribute(0, Array(answer.head[4..<8])).number
      else { continue }
      parts.append(try link(part, depth: depth + 1))
    }
    if parts.isEmpty { throw DumpError("this bond has no devices", at: name) }
    // Without a look at the links none is ever found to be down.
    let interval = value(3).flatMap { NetlinkAttribute(3, $0).number } ?? 0
    return NetworkRecord.Link.Bond(
      parts: parts, mode: mode, interval: interval == 0 ? 100 : min(interval, 60_000), hash: value(14)?.first ?? 0,
      rate: value(21)?.first ?? 0)
  }

  private func driver(_ name: String) -> String {
    let path = System.realPath("\(root)/sys/class/net/\(name)/device/driver/module") ?? ""
    return path.utf8.split(separator: 0x2f).last.map { String(decoding: $0, as: UTF8.self) } ?? ""
  }
}

extension NetworkRecord {
  /// As `init` reads it.
  public func text() -> String {
    var lines = [NetworkRecord.magic]
    for (index, link) in links.enumerated() {
      var place = link.vlan.map { "vlan \(index) parent=\($0.parent) tag=\($0.tag)" } ?? "device \(index)"
      if let bond = link.bond {
        let parts = bond.parts.map(String.init).joined(separator: ",")
        place = "bond \(index) parts=\(parts) mode=\(bond.mode) miimon=\(bond.interval) hash=\(bond.hash) rate=\(bond.rate)"
      }
      lines.append("\(place) mac=\(link.macText) mtu=\(link.mtu) driver=\(link.driver.isEmpty ? "-" : link.driver)")
    }
    for route in routes {
      let address = { (bytes: [UInt8]) in NetworkAddress.text(bytes) ?? "" }
      lines.append(
        "route \(route.host) address=\(address(route.address)) link=\(route.link) gateway=\(route.gateway.map(address) ?? "-") "
          + "source=\(address(route.source))/\(route.prefix)\(route.isLeased ? " dhcp" : "")")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
