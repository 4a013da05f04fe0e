public import DumpBasics
internal import LinuxSystem

/// What a crash kernel needs to reach the far sides of targets: recorded by the running machine, rebuilt from
/// that alone. A text, docs/targets.md; a line that is not understood is an error, since half a network is
/// none.
public struct NetworkRecord: Sendable, Equatable {
  /// Where a crash initramfs has it.
  public static let standardPath = "/etc/mcore.network"
  static let magic = "mcore-network 1"
  static let limit = 64

  /// A network device, known by its address; or a VLAN on one that stands before it.
  public struct Link: Sendable, Equatable {
    /// 6 bytes.
    public var mac: [UInt8]
    public var mtu: UInt32
    /// The kernel module, for those who build an initramfs; empty where there is none.
    public var driver: String
    /// Which link it is on, and its tag.
    public var vlan: VLAN?

    public struct VLAN: Sendable, Equatable {
      public var parent: Int
      public var tag: UInt16

      public init(parent: Int, tag: UInt16) {
        self.parent = parent
        self.tag = tag
      }
    }

    /// As `52:54:00:12:34:56`.
    public var macText: String { NetworkRecord.text(mac: mac) }

    public init(mac: [UInt8], mtu: UInt32, driver: String, vlan: VLAN? = nil) {
      self.mac = mac
      self.mtu = mtu
      self.driver = driver
      self.vlan = vlan
    }
  }

  /// The way to one far side.
  public struct Route: Sendable, Equatable {
    /// As the target has it.
    public var host: String
    /// 4 or 16 bytes, as the following.
    public var address: [UInt8]
    public var link: Int
    public var gateway: [UInt8]?
    public var source: [UInt8]
    public var prefix: UInt8

    public init(host: String, address: [UInt8], link: Int, gateway: [UInt8]?, source: [UInt8], prefix: UInt8) {
      self.host = host
      self.address = address
      self.link = link
      self.gateway = gateway
      self.source = source
      self.prefix = prefix
    }
  }

  public var links: [Link] = []
  public var routes: [Route] = []

  public init() {}

  public func text() -> String {
    var lines = [NetworkRecord.magic]
    for (index, link) in links.enumerated() {
      let place = link.vlan.map { "vlan \(index) parent=\($0.parent) tag=\($0.tag)" } ?? "device \(index)"
      lines.append(
        "\(place) mac=\(NetworkRecord.text(mac: link.mac)) mtu=\(link.mtu) driver=\(link.driver.isEmpty ? "-" : link.driver)")
    }
    for route in routes {
      let gateway = route.gateway.flatMap { NetworkAddress.text($0) } ?? "-"
      lines.append(
        "route \(route.host) address=\(NetworkAddress.text(route.address) ?? "") link=\(route.link) gateway=\(gateway) source=\(NetworkAddress.text(route.source) ?? "")/\(route.prefix)"
      )
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// - Throws: for a text that is no record, or one that is damaged.
  public init(_ text: String, at place: String) throws(DumpError) {
    let lines = text.utf8.split(separator: 0x0a).map { String(decoding: $0, as: UTF8.self) }
    guard lines.first == NetworkRecord.magic else {
      throw DumpError("this is no record of a network, or one of another version", at: place, advice: "arm again")
    }
    for (number, line) in lines.enumerated().dropFirst() {
      guard links.count + routes.count < NetworkRecord.limit, take(line) else {
        throw DumpError("line \(number + 1) is not understood", at: place, advice: "arm again")
      }
    }
  }

  private mutating func take(_ line: String) -> Bool {
    let words = line.utf8.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
    guard words.count > 2 else { return false }
    var values: [String: String] = [:]
    for word in words.dropFirst(2) {
      guard let (key, value) = word.split(atFirst: "=") else { return false }
      values[key] = value
    }
    if words[0] == "route" {
      guard let address = values["address"].flatMap({ NetworkAddress.bytes($0) }),
        let link = values["link"].flatMap({ Int($0) }), links.indices.contains(link),
        let (source, prefix) = values["source"]?.split(atFirst: "/"), let source = NetworkAddress.bytes(source),
        let prefix = UInt8(prefix), source.count == address.count, Int(prefix) <= 8 * source.count,
        let gateway = values["gateway"]
      else { return false }
      let way = gateway == "-" ? nil : NetworkAddress.bytes(gateway)
      guard gateway == "-" || way?.count == address.count else { return false }
      routes.append(
        Route(host: words[1], address: address, link: link, gateway: way, source: source, prefix: prefix))
      return true
    }
    guard words[1] == "\(links.count)", let mac = values["mac"].flatMap({ NetworkRecord.mac($0) }),
      let mtu = values["mtu"].flatMap({ UInt32($0) }), (68...65_536).contains(mtu), let driver = values["driver"]
    else { return false }
    var link = Link(mac: mac, mtu: mtu, driver: driver == "-" ? "" : driver)
    if words[0] == "vlan" {
      guard let parent = values["parent"].flatMap({ Int($0) }), links.indices.contains(parent),
        let tag = values["tag"].flatMap({ UInt16($0) }), tag < 4096
      else { return false }
      link.vlan = Link.VLAN(parent: parent, tag: tag)
    } else if words[0] != "device" {
      return false
    }
    links.append(link)
    return true
  }

  static func text(mac: [UInt8]) -> String { mac.map { padded($0, 2, radix: 16) }.joined(separator: ":") }

  static func mac(_ text: String) -> [UInt8]? {
    let parts = text.utf8.split(separator: 0x3a).map { UInt8(String(decoding: $0, as: UTF8.self), radix: 16) }
    let bytes = parts.compactMap { $0 }
    return parts.count == 6 && bytes.count == 6 ? bytes : nil
  }
}
