internal import DumpBasics

/// Network devices as the machine had them.
struct NetworkPicture {
  struct Device {
    var name: String
    /// Number of its network namespace; nil: the first one.
    var namespace: UInt64?
    var isUp: Bool
    var hasCarrier: Bool
    var mtu: UInt64
    /// `52:54:00:12:34:56`; nil where it has none.
    var hardware: String?
    /// With the length of their prefix: `192.0.2.7/24`.
    var addresses: [String] = []

    var state: String { isUp ? hasCarrier ? "up" : "up, NO CARRIER" : "down" }
  }

  private(set) var devices: [Device] = []

  private static let namespaceLimit = 1024
  private static let deviceLimit = 256
  private static let addressLimit = 32
  // include/uapi/linux/if.h, include/linux/netdevice.h
  private static let up: UInt64 = 1
  private static let noCarrier: UInt64 = 1 << 2

  init(_ view: KernelView) {
    guard let first = view.symbol("init_net", for: "network devices"), let head = view.offset("net", "dev_base_head"),
      let inside = view.offset("net_device", "dev_list")
    else { return }
    var namespaces = [first]
    if let list = view.symbol("net_namespace_list"), let link = view.offset("net", "list") {
      namespaces += view.list(list, inside: link, limit: NetworkPicture.namespaceLimit, of: "network namespaces").filter {
        $0 != first
      }
    }
    for namespace in namespaces {
      let number = namespace == first ? nil : view.value(namespace, "net", "ns.inum")
      for device in view.list(namespace &+ head, inside: inside, limit: NetworkPicture.deviceLimit, of: "network devices") {
        if view.isTimeUp || devices.count == NetworkPicture.deviceLimit { return }
        if let device = NetworkPicture.device(view, device, namespace: number) { devices.append(device) }
      }
    }
  }

  private static func device(_ view: KernelView, _ place: UInt64, namespace: UInt64?) -> Device? {
    guard let nameOffset = view.offset("net_device", "name"), let name = view.text(place &+ nameOffset, limit: 16), !name.isEmpty,
      let flags = view.value(place, "net_device", "flags"), let state = view.value(place, "net_device", "state")
    else { return nil }
    var device = Device(
      name: name, namespace: namespace, isUp: flags & up != 0, hasCarrier: state & noCarrier == 0,
      mtu: view.value(place, "net_device", "mtu") ?? 0)
    if let length = view.value(place, "net_device", "addr_len"), (1...32).contains(length),
      let address = view.value(place, "net_device", "dev_addr"), let bytes = view.bytes(address, Int(length)),
      bytes.contains(where: { $0 != 0 })
    {
      device.hardware = bytes.map { padded($0, 2, radix: 16) }.joined(separator: ":")
    }
    device.addresses = four(view, place) + six(view, place)
    return device
  }

  private static func four(_ view: KernelView, _ device: UInt64) -> [String] {
    guard let inner = view.value(device, "net_device", "ip_ptr"), isKernelAddress(inner),
      let place = view.offset("in_ifaddr", "ifa_local"), var entry = view.value(inner, "in_device", "ifa_list")
    else { return [] }
    var found: [String] = []
    while isKernelAddress(entry), found.count < addressLimit {
      guard let bytes = view.bytes(entry &+ place, 4), let length = view.value(entry, "in_ifaddr", "ifa_prefixlen"),
        let next = view.value(entry, "in_ifaddr", "ifa_next")
      else { break }
      found.append("\(bytes.map { String($0) }.joined(separator: "."))/\(length)")
      entry = next
    }
    return found
  }

  private static func six(_ view: KernelView, _ device: UInt64) -> [String] {
    guard let inner = view.value(device, "net_device", "ip6_ptr"), isKernelAddress(inner),
      let head = view.offset("inet6_dev", "addr_list"), let inside = view.offset("inet6_ifaddr", "if_list"),
      let place = view.offset("inet6_ifaddr", "addr")
    else { return [] }
    return view.list(inner &+ head, inside: inside, limit: addressLimit, of: "addresses of a network device").compactMap {
      entry in
      guard let bytes = view.bytes(entry &+ place, 16), let length = view.value(entry, "inet6_ifaddr", "prefix_len") else {
        return nil
      }
      return "\(text(ofSix: bytes))/\(length)"
    }
  }

  /// RFC 5952: the longest run of zero groups, of two or more, is `::`.
  static func text(ofSix bytes: [UInt8]) -> String {
    let groups = stride(from: 0, to: 15, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
    var best = 0..<0
    var start = 0
    while start < 8 {
      let end = groups[start...].firstIndex { $0 != 0 } ?? 8
      if end - start > max(1, best.count) { best = start..<end }
      start = max(end, start + 1)
    }
    func part(_ groups: ArraySlice<UInt16>) -> String { groups.map { String($0, radix: 16) }.joined(separator: ":") }
    return best.isEmpty ? part(groups[...]) : "\(part(groups[..<best.lowerBound]))::\(part(groups[best.upperBound...]))"
  }
}
