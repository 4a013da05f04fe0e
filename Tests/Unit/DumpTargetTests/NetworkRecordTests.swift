import DumpBasics
import Testing

@testable import DumpTarget
@testable import LinuxSystem

/// Protects: the network of the crash kernel is the one that was recorded, or it is an error.
struct NetworkRecordTests {
  private let text = """
    mcore-network 1
    device 0 mac=52:54:00:12:34:56 mtu=1500 driver=virtio_net
    vlan 1 parent=0 tag=7 mac=52:54:00:12:34:56 mtu=1496 driver=-
    route backup.example address=192.0.2.7 link=0 gateway=198.51.100.1 source=198.51.100.9/24
    route 2001:db8::2 address=2001:db8::2 link=1 gateway=- source=2001:db8::1/64

    """

  @Test func whatIsWrittenIsRead() throws {
    let record = try NetworkRecord(text, at: "x")
    #expect(record.links.map(\.macText) == ["52:54:00:12:34:56", "52:54:00:12:34:56"])
    #expect(record.links[1].vlan == .init(parent: 0, tag: 7) && record.links[1].driver.isEmpty)
    #expect(record.links[0].driver == "virtio_net" && record.links[0].mtu == 1500)
    #expect(record.routes[0].gateway == [198, 51, 100, 1] && record.routes[0].prefix == 24 && record.routes[0].link == 0)
    #expect(record.routes[1].gateway == nil && record.routes[1].source.count == 16)
  }

  @Test(arguments: [
    ("mcore-network 1", "mcore-network 2"), ("device 0", "device 1"), ("vlan 1", "bond 1"), ("parent=0", "parent=1"),
    ("tag=7", "tag=4096"), ("52:54:00:12:34:56 mtu=1500", "52:54:00:12:34 mtu=1500"), ("mtu=1500", "mtu=1"),
    ("mtu=1496", "mtu=99999999999"), ("address=192.0.2.7", "address=192.0.2"), ("link=0", "link=2"), ("link=0", "link=-1"),
    ("gateway=198.51.100.1", "gateway=::1"), ("source=198.51.100.9/24", "source=198.51.100.9"), ("/24", "/33"),
    ("/64", "/129"), ("198.51.100.9/24", "198.51.100.9/24 static"), ("2001:db8::1/64", "2001:db8::1/64 dhcp"), ("driver=-", ""),
    ("route backup.example", "route"),
  ])
  func whatIsWrongIsAnError(good: String, bad: String) throws {
    let (before, after) = try #require(text.split(atFirst: good))
    #expect(throws: DumpError.self) { try NetworkRecord(before + bad + after, at: "x") }
  }

  @Test func bondsAndLeasesAreRead() throws {
    let bond = "bond 2 parts=0,1 mode=4 miimon=100 hash=1 rate=1 mac=52:54:00:12:34:56 mtu=1500 driver=-"
    let more = text.replacing(first: "route", with: bond + "\nroute").replacing(first: "9/24", with: "9/24 dhcp")
    let record = try NetworkRecord(more, at: "x")
    #expect(record.links[2].bond == .init(parts: [0, 1], mode: 4, interval: 100, hash: 1, rate: 1))
    #expect(record.routes.map(\.isLeased) == [true, false])
    for (good, bad) in [
      ("parts=0,1", "parts="), ("parts=0,1", "parts=0,2"), ("parts=0,1", "parts=0,x"), ("parts=0,1", "parts=0,1,0,1,0,1,0,1,0"),
      ("mode=4", "mode=7"), ("miimon=100", "miimon=60001"), ("hash=1", "hash=6"), ("rate=1", "rate=2"), ("rate=1 ", ""),
    ] {
      #expect(throws: DumpError.self, "\(bad)") { try NetworkRecord(more.replacing(first: good, with: bad), at: "x") }
    }
  }

  @Test func aLongOneIsAnError() {
    let line = "device 0 mac=52:54:00:12:34:56 mtu=1500 driver=-\n"
    let many = "mcore-network 1\n" + (0..<100).map { line.replacing(first: "0", with: "\($0)") }.joined()
    #expect(throws: DumpError.self) { try NetworkRecord(many, at: "x") }
    #expect(throws: DumpError.self) { try NetworkRecord("", at: "x") }
  }

  @Test func farSidesAreNamed() throws {
    for (word, host) in [
      ("ssh:u@host:/x", "host"), ("ssh:[::1]:/x", "::1"), ("nfs:h:/x", "h"), ("https://h:8443/x/", "h"),
      ("https://[2001:db8::1]:1/x/", "2001:db8::1"), ("http://h/", "h"), ("/x", nil), ("pipe:x", nil),
    ] as [(String, String?)] {
      #expect(try TargetSpec(word).host == host, "\(word)")
    }
  }

  // MARK: messages

  @Test func messagesAreReadAsTheyAreWritten() {
    let message = NetlinkMessage(
      NetlinkMessage.newLink, flags: 5, head: Array(1...16),
      [
        NetlinkAttribute(3, "eth0"), NetlinkAttribute(4, UInt32(1500)),
        NetlinkAttribute(18, [NetlinkAttribute(1, "vlan"), NetlinkAttribute(2, [NetlinkAttribute(1, UInt16(7))])]),
      ])
    let bytes = message.encoded(sequence: 9)
    #expect(bytes.count % 4 == 0 && Int(bytes[0]) == bytes.count)
    #expect(NetlinkMessage.parse(bytes + bytes) == [message, message])
    #expect(message[3].map { NetlinkAttribute(3, $0).text } == "eth0")
  }

  @Test func damagedMessagesEndNothing() {
    let message = NetlinkMessage(NetlinkMessage.newAddress, head: Array(1...8), [NetlinkAttribute(1, [1, 2, 3, 4])])
    let good = message.encoded(sequence: 1)
    for count in 0..<good.count { _ = NetlinkMessage.parse(Array(good[..<count])) }
    for offset in good.indices {
      for value in [0, 1, 3, 0x7f, 0xff] as [UInt8] {
        var bad = good
        bad[offset] = value
        _ = NetlinkMessage.parse(bad + good)
      }
    }
    #expect(NetlinkMessage.parse([UInt8](repeating: 0, count: 64)).isEmpty)
  }

  @Test func theKernelAnswers() throws {
    let netlink = try Netlink()
    let request = NetlinkMessage(NetlinkMessage.getLink, flags: NetlinkMessage.dump, head: [UInt8](repeating: 0, count: 16))
    let names = try netlink.answers(to: request, about: "devices").compactMap { $0[3].map { NetlinkAttribute(3, $0).text } }
    #expect(
      try Set(names) == Set(System.names(in: "/sys/class/net").filter { System.kind(of: "/sys/class/net/\($0)") == .directory }))
    let missing = NetlinkMessage(
      NetlinkMessage.getLink, head: [0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f] + [UInt8](repeating: 0, count: 8))
    #expect { try netlink.answers(to: missing, about: "x") } throws: { ($0 as? DumpError)?.kind == .system(19) }
  }
}

extension String {
  fileprivate func replacing(first: String, with other: String) -> String {
    split(atFirst: first).map { $0.before + other + $0.after } ?? self
  }
}
