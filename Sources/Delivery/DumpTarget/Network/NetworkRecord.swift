public import DumpBasics
internal import LinuxSystem

/// What a crash kernel needs to reach the far sides of targets: recorded by the running machine, rebuilt from
/// that alone. A text, docs/targets.md; a line that is not understood is an error, since half a network is
/// none.
public struct NetworkRecord: Sendable, Equatable {
  /// Where a crash initramfs has it.
  public static let standardPath = "/etc/mcore.network"
  public static let magic = "mcore-network 1"
  static let limit = 64

  /// A network device, known by its address; or a VLAN on one, or a bond of some, that stand before it.
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

    /// What it bonds; nil for what is no bond.
    public var bond: Bond?

    /// Several devices as one (Documentation/networking/bonding.rst); numbers as the kernel has them.
    public struct Bond: Sendable, Equatable {
      public var parts: [Int]
      /// 1 is active-backup, 4 is 802.3ad.
      public var mode: UInt8
      /// Milliseconds after which the links are looked at.
      public var interval: UInt32
      public var hash: UInt8
      public var rate: UInt8

      public init(parts: [Int], mode: UInt8, interval: UInt32, hash: UInt8, rate: UInt8) {
        self.parts = parts
        self.mode = mode
        self.interval = interval
        self.hash = hash
        self.rate = rate
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
    /// Whether the source address is by DHCP, so that it is asked for anew.
    public var isLeased: Bool

    public init(
      host: String, address: [UInt8], link: Int, gateway: [UInt8]?, source: [UInt8], prefix: UInt8, isLeased: Bool = false
    ) {
      self.host = host
      self.address = address
      self.link = link
      self.gateway = gateway
      self.source = source
      self.prefix = prefix
      self.isLeased = isLeased
    }
  }

  public var links: [Link] = []
  public var routes: [Route] = []

  public init() {}

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
    func value(_ index: Int, _ key: String) -> String {
      index < words.count ? words[index].dropping(prefix: key + "=") ?? "" : ""
    }
    func link(_ index: Int, _ key: String) -> Int? {
      number(value(index, key), upTo: UInt64(NetworkRecord.limit)).flatMap { links.indices.contains(Int($0)) ? Int($0) : nil }
    }
    func address(_ text: String) -> [UInt8] { NetworkAddress.bytes(text) ?? [] }
    switch words.first {
    case "route":
      let (far, gateway) = (address(value(2, "address")), value(4, "gateway"))
      let way = address(gateway)
      let isLeased = words.count == 7 && words[6] == "dhcp" && far.count == 4
      guard words.count == (isLeased ? 7 : 6), !far.isEmpty, let link = link(3, "link"), gateway == "-" || way.count == far.count,
        let (source, prefix) = value(5, "source").split(atFirst: "/"), address(source).count == far.count,
        let prefix = number(prefix, upTo: UInt64(8 * far.count))
      else { return false }
      routes.append(
        Route(
          host: words[1], address: far, link: link, gateway: gateway == "-" ? nil : way, source: address(source),
          prefix: UInt8(truncatingIfNeeded: prefix), isLeased: isLeased))
      return true
    case "device", "vlan", "bond":
      let isVLAN = words[0] == "vlan"
      let isBond = words[0] == "bond"
      let rest = isVLAN ? 4 : isBond ? 7 : 2
      guard words.count == rest + 3, number(words[1]) == UInt64(links.count), let mac = NetworkRecord.mac(value(rest, "mac")),
        let mtu = number(value(rest + 1, "mtu"), upTo: 65_536), mtu >= 68, case let driver = value(rest + 2, "driver"),
        !driver.isEmpty
      else { return false }
      var made = Link(mac: mac, mtu: UInt32(truncatingIfNeeded: mtu), driver: driver == "-" ? "" : driver)
      if isVLAN {
        guard let parent = link(2, "parent"), let tag = number(value(3, "tag"), upTo: 4095) else { return false }
        made.vlan = Link.VLAN(parent: parent, tag: UInt16(truncatingIfNeeded: tag))
      }
      if isBond {
        let parts = value(2, "parts").utf8.split(separator: 0x2c).map { number(String(decoding: $0, as: UTF8.self), upTo: 64) }
        guard !parts.isEmpty, parts.count <= 8, parts.allSatisfy({ $0.map { $0 < UInt64(links.count) } == true }),
          let mode = number(value(3, "mode"), upTo: 6), let interval = number(value(4, "miimon"), upTo: 60_000),
          let hash = number(value(5, "hash"), upTo: 5), let rate = number(value(6, "rate"), upTo: 1)
        else { return false }
        made.bond = Link.Bond(
          parts: parts.map { Int(truncatingIfNeeded: $0 ?? 0) }, mode: UInt8(truncatingIfNeeded: mode),
          interval: UInt32(truncatingIfNeeded: interval), hash: UInt8(truncatingIfNeeded: hash),
          rate: UInt8(truncatingIfNeeded: rate))
      }
      links.append(made)
      return true
    default: return false
    }
  }

  static func text(mac: [UInt8]) -> String { mac.map { padded($0, 2, radix: 16) }.joined(separator: ":") }

  static func mac(_ text: String) -> [UInt8]? {
    let bytes = text.utf8.split(separator: 0x3a).map { number(String(decoding: $0, as: UTF8.self), radix: 16, upTo: 255) }
    return bytes.count == 6 && !bytes.contains(nil) ? bytes.map { UInt8(truncatingIfNeeded: $0 ?? 0) } : nil
  }
}
