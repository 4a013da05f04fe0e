internal import Capture
internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem

/// Brings up what was recorded of the network, and no more: the devices, by their addresses, the source
/// addresses (by DHCP where it was so), a route to each far side. What fails is told, and the rest is tried.
struct NetworkUp: ~Copyable {
  private let record: NetworkRecord
  private let netlink: Netlink
  private let reporter: any Reporter
  /// When waiting for devices and cables ends, on the monotonic clock.
  private let deadline: UInt64

  /// IFF_UP, IFF_LOWER_UP, RTNH_F_ONLINK, IFA_F_NODAD.
  private static let isUp: UInt32 = 1
  private static let hasCarrier: UInt32 = 0x1_0000
  private static let onLink: UInt32 = 4
  private static let noDuplicateSearch: UInt32 = 2

  /// As PID 1, where something is recorded; by hand, where the arguments say so.
  static func run(_ settings: Settings, _ reporter: any Reporter) {
    let isFirst = System.processID == 1
    if isFirst ? System.kind(of: settings.network.value) == nil && settings.network.origin == nil : settings.network.origin == nil
    {
      return
    }
    run(settings.network.value, waitSeconds: settings.wait.value, hosts: isFirst ? "/etc/hosts" : nil, reporter)
  }

  /// The targets' far sides are reached after this, if they can be. `hosts`: a file that names are added to,
  /// where it is not a running system's.
  static func run(_ path: String, waitSeconds: UInt64, hosts: String?, _ reporter: any Reporter) {
    do throws(DumpError) {
      let record = try NetworkRecord(try System.text(of: path), at: path)
      let up = NetworkUp(record, try Netlink(), reporter, waitSeconds)
      up.bringUp()
      if let hosts { try up.addNames(hosts) }
    } catch { reporter.warning("the network is not up: \(error)") }
  }

  private init(_ record: NetworkRecord, _ netlink: consuming Netlink, _ reporter: any Reporter, _ waitSeconds: UInt64) {
    self.record = record
    self.netlink = netlink
    self.reporter = reporter
    deadline = clampedSum(System.monotonicNanoseconds, min(waitSeconds, 3600) * 1_000_000_000)
  }

  private func bringUp() {
    var indices = [UInt32?](repeating: nil, count: record.links.count)
    for number in record.links.indices {
      do throws(DumpError) {
        let index = try made(number, indices)
        try set(index, record.links[number].mtu)
        indices[number] = index
      } catch { reporter.warning("network: \(error)") }
    }
    var leases = [Lease?](repeating: nil, count: record.links.count)
    for route in record.routes {
      guard let index = indices[route.link] else { continue }
      do throws(DumpError) {
        waitForCarrier(index)
        var route = route
        if route.isLeased {
          let lease = leases[route.link] ?? self.lease(route, index)
          leases[route.link] = lease
          route.take(lease)
        }
        try add(route.source, route.prefix, index)
        try add(route, index)
        reporter.message("network: \(route.host) by \(NetworkAddress.text(route.source) ?? "")")
      } catch { reporter.warning("network: \(error)") }
    }
  }

  // MARK: links

  /// The kernel's index of a link: the device is waited for, a VLAN is made.
  private func made(_ number: Int, _ indices: [UInt32?]) throws(DumpError) -> UInt32 {
    let link = record.links[number]
    if let bond = link.bond {
      let made = try made(
        number, link, "bond",
        [
          NetlinkAttribute(1, [bond.mode]), NetlinkAttribute(3, bond.interval),
        ] + (bond.mode == 4 ? [NetlinkAttribute(14, [bond.hash]), NetlinkAttribute(21, [bond.rate])] : []))
      // One that is missing is done without.
      for part in bond.parts {
        guard let index = indices[part] else { continue }
        try change(index, flags: 0, [])
        try change(index, flags: 0, [NetlinkAttribute(10, made)])
      }
      return made
    }
    if let vlan = link.vlan {
      guard let parent = indices[vlan.parent] else { throw DumpError("the device of VLAN \(vlan.tag) is not up") }
      return try made(number, link, "vlan", [NetlinkAttribute(1, vlan.tag)], on: [NetlinkAttribute(5, parent)])
    }
    while true {
      if let index = try find(link.mac) { return index }
      guard pause() else { break }
    }
    throw DumpError(
      "no device has the address \(link.macText)\(link.driver.isEmpty ? "" : ": is its driver (\(link.driver)) loaded?")")
  }

  /// A device of this kind, under a name of ours.
  private func made(
    _ number: Int, _ link: NetworkRecord.Link, _ kind: String, _ data: [NetlinkAttribute], on parent: [NetlinkAttribute] = []
  ) throws(DumpError) -> UInt32 {
    let name = "mcore\(number)"
    let request = NetlinkMessage(
      NetlinkMessage.newLink, flags: NetlinkMessage.create, head: [UInt8](repeating: 0, count: 16),
      parent + [
        NetlinkAttribute(3, name), NetlinkAttribute(1, link.mac),
        NetlinkAttribute(18, [NetlinkAttribute(1, kind), NetlinkAttribute(2, data)]),
      ])
    // One that is there already is found by its name.
    do throws(DumpError) { _ = try netlink.answers(to: request, about: name) } catch {
      guard try links().contains(where: { $0.name == name }) else { throw error }
    }
    guard let made = try links().first(where: { $0.name == name }) else { throw DumpError("\(kind) \(name) is not there") }
    return made.index
  }

  private struct Found {
    let index: UInt32
    let name: String
    let mac: [UInt8]
    let flags: UInt32
    let isVirtual: Bool
  }

  private func links() throws(DumpError) -> [Found] {
    let request = NetlinkMessage(NetlinkMessage.getLink, flags: NetlinkMessage.dump, head: [UInt8](repeating: 0, count: 16))
    return try netlink.answers(to: request, about: "devices").compactMap { answer in
      guard answer.type == NetlinkMessage.newLink, let index = NetlinkAttribute(0, Array(answer.head[4..<8])).number,
        let flags = NetlinkAttribute(0, Array(answer.head[8..<12])).number
      else { return nil }
      let kind = NetlinkAttribute.parse((answer[18] ?? [])[...]).first { $0.type == 1 }?.text
      return Found(
        index: index, name: answer[3].map { NetlinkAttribute(3, $0).text } ?? "", mac: answer[1] ?? [], flags: flags,
        isVirtual: kind != nil && kind != "veth")
    }
  }

  private func find(_ mac: [UInt8]) throws(DumpError) -> UInt32? {
    try links().first { $0.mac == mac && !$0.isVirtual }?.index
  }

  private func set(_ index: UInt32, _ mtu: UInt32) throws(DumpError) {
    try change(index, flags: NetworkUp.isUp, [NetlinkAttribute(4, mtu)])
  }

  /// IFF_UP as in `flags`.
  private func change(_ index: UInt32, flags: UInt32, _ attributes: [NetlinkAttribute]) throws(DumpError) {
    let head =
      [0, 0, 0, 0] + NetlinkAttribute(0, index).bytes + NetlinkAttribute(0, flags).bytes
      + NetlinkAttribute(0, NetworkUp.isUp).bytes
    _ = try netlink.answers(
      to: NetlinkMessage(NetlinkMessage.newLink, head: head, attributes), about: "device \(index)")
  }

  /// Nobody who answers: the address is used as it was.
  private func lease(_ route: NetworkRecord.Route, _ index: UInt32) -> Lease {
    let recorded = Lease(address: route.source, prefix: route.prefix)
    do throws(DumpError) {
      guard let link = try links().first(where: { $0.index == index }) else { return recorded }
      if let lease = try Lease.get(link.name, link.mac, wanted: route.source) { return lease }
      throw DumpError("no answer by DHCP, so that the address is used as it was")
    } catch {
      reporter.warning("network: \(error)")
      return recorded
    }
  }

  private func waitForCarrier(_ index: UInt32) {
    while (try? links().contains { $0.index == index && $0.flags & NetworkUp.hasCarrier != 0 }) != true {
      guard pause() else { return reporter.warning("network: device \(index) has no carrier: is the cable in?") }
    }
  }

  /// False when the time for waiting is over.
  private func pause() -> Bool {
    if System.monotonicNanoseconds >= deadline { return false }
    System.pause(milliseconds: 100)
    return true
  }

  // MARK: addresses and routes

  private func add(_ source: [UInt8], _ prefix: UInt8, _ index: UInt32) throws(DumpError) {
    let head = [NetworkAddress.family(source), prefix, 0, 0] + NetlinkAttribute(0, index).bytes
    let attributes = [
      NetlinkAttribute(2, source), NetlinkAttribute(1, source), NetlinkAttribute(8, NetworkUp.noDuplicateSearch),
    ]
    _ = try netlink.answers(
      to: NetlinkMessage(
        NetlinkMessage.newAddress, flags: NetlinkMessage.create | NetlinkMessage.replace, head: head, attributes),
      about: "address \(NetworkAddress.text(source) ?? "")")
  }

  private func add(_ route: NetworkRecord.Route, _ index: UInt32) throws(DumpError) {
    // Table main, protocol static, scope universe or link, unicast.
    let head: [UInt8] =
      [NetworkAddress.family(route.address), UInt8(truncatingIfNeeded: 8 * route.address.count), 0, 0, 254, 4]
      + [route.gateway == nil ? 253 : 0, 1] + NetlinkAttribute(0, route.gateway == nil ? 0 : NetworkUp.onLink).bytes
    let gateway = route.gateway.map { [NetlinkAttribute(5, $0)] } ?? []
    _ = try netlink.answers(
      to: NetlinkMessage(
        NetlinkMessage.newRoute, flags: NetlinkMessage.create | NetlinkMessage.replace, head: head,
        [NetlinkAttribute(1, route.address), NetlinkAttribute(4, index), NetlinkAttribute(7, route.source)] + gateway),
      about: "the way to \(route.host)")
  }

  // MARK: names

  private func addNames(_ path: String) throws(DumpError) {
    var lines = (try? System.text(of: path)) ?? ""
    for route in record.routes where NetworkAddress.bytes(route.host) == nil {
      lines += "\(NetworkAddress.text(route.address) ?? "") \(route.host)\n"
    }
    try System.replaceFile(path, with: Array(lines.utf8))
  }
}

extension NetworkRecord.Route {
  /// With the address that was given now. The gateway stays while it is in reach of that.
  mutating func take(_ lease: Lease) {
    func isNear(_ other: [UInt8]) -> Bool {
      let number = { (bytes: [UInt8]) in bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }
      return (number(other) ^ number(lease.address)) >> (32 - UInt32(lease.prefix)) == 0
    }
    (source, prefix) = (lease.address, lease.prefix)
    if gateway.map(isNear) ?? isNear(address) { return }
    gateway = lease.router ?? gateway
  }
}
