import DumpBasics
import DumpTarget
import Testing

@testable import CaptureInit

/// Protects: what a DHCP server says is believed only where it makes sense.
struct LeaseTests {
  private static let id: [UInt8] = [1, 2, 3, 4]
  private static let mac: [UInt8] = [0x52, 0x54, 0, 1, 2, 3]

  private static func answer(_ kind: UInt8, from address: [UInt8] = [10, 0, 2, 15], _ options: [UInt8]) -> [UInt8] {
    var bytes = LeaseMessage.text(kind, id, mac, [])
    bytes[0] = 2
    bytes.replaceSubrange(16..<20, with: address)
    return bytes[..<240] + [53, 1, kind] + options + [255]
  }

  private static let mask: [UInt8] = [1, 4, 255, 255, 255, 0]
  private static let server: [UInt8] = [54, 4, 10, 0, 2, 2]

  private func read(_ bytes: [UInt8], _ kind: UInt8 = 2) -> LeaseMessage? {
    LeaseMessage(bytes, kind, LeaseTests.id, LeaseTests.mac)
  }

  @Test func anOfferIsRead() throws {
    let router: [UInt8] = [3, 8, 10, 0, 2, 2, 10, 0, 2, 3]
    let message = try #require(read(LeaseTests.answer(2, [0, 0] + LeaseTests.mask + LeaseTests.server + router)))
    #expect(message.lease == Lease(address: [10, 0, 2, 15], prefix: 24, router: [10, 0, 2, 2]))
    #expect(message.server == [10, 0, 2, 2])
  }

  @Test func aQuestionIsOne() {
    let bytes = LeaseMessage.text(1, LeaseTests.id, LeaseTests.mac, [(50, [10, 0, 2, 15])])
    #expect(
      bytes.count == 300 && Array(bytes[28..<34]) == LeaseTests.mac && Array(bytes[236..<243]) == [99, 130, 83, 99, 53, 1, 1])
    #expect(Array(bytes[243..<249]) == [50, 4, 10, 0, 2, 15] && bytes[10] == 0x80)
  }

  @Test(arguments: [
    (LeaseTests.answer(5, LeaseTests.mask), "another kind"), (LeaseTests.answer(2, []), "no mask"),
    (LeaseTests.answer(2, [1, 4, 255, 0, 255, 0]), "a mask with a hole"), (LeaseTests.answer(2, [1, 4, 0, 0, 0, 0]), "no net"),
    (LeaseTests.answer(2, from: [0, 0, 0, 0], LeaseTests.mask), "no address"),
    (LeaseTests.answer(2, from: [127, 0, 0, 1], LeaseTests.mask), "this machine"),
    (LeaseTests.answer(2, from: [224, 0, 0, 1], LeaseTests.mask), "many"),
    (LeaseTests.answer(2, LeaseTests.mask + [3, 4, 255, 255, 255, 255]), "a router that is all"),
    (LeaseTests.answer(2, LeaseTests.mask + [77, 200, 1]), "longer than there is"),
    (Array(LeaseTests.answer(2, LeaseTests.mask + [77]).dropLast()), "cut"),
  ])
  func whatMakesNoSenseIsNoAnswer(bytes: [UInt8], what: String) {
    #expect(read(bytes) == nil, "\(what)")
  }

  /// For somebody else, or cut, or with any byte changed: never a trap, and never an address that is none.
  @Test func damagedAnswersEndNothing() {
    let good = LeaseTests.answer(2, LeaseTests.mask + LeaseTests.server + [3, 4, 10, 0, 2, 2])
    #expect(
      LeaseMessage(good, 2, [9, 9, 9, 9], LeaseTests.mac) == nil
        && LeaseMessage(good, 2, LeaseTests.id, [0, 0, 0, 0, 0, 0]) == nil)
    #expect(read(good + [UInt8](repeating: 0, count: 1500)) == nil)
    for count in good.indices { _ = read(Array(good[..<count])) }
    for offset in good.indices {
      for value in [0, 1, 4, 5, 0x7f, 0xff] as [UInt8] {
        var bad = good
        bad[offset] = value
        if let lease = read(bad)?.lease {
          #expect(lease.prefix > 0 && lease.prefix <= 32 && (1..<224).contains(lease.address[0]))
        }
      }
    }
  }

  @Test func theGatewayFollowsTheLease() {
    func route(_ gateway: [UInt8]?) -> NetworkRecord.Route {
      NetworkRecord.Route(
        host: "h", address: [192, 0, 2, 7], link: 0, gateway: gateway, source: [10, 0, 2, 15], prefix: 24, isLeased: true)
    }
    var same = route([10, 0, 2, 2])
    same.take(Lease(address: [10, 0, 2, 99], prefix: 24, router: [10, 0, 2, 3]))
    #expect(same.source == [10, 0, 2, 99] && same.gateway == [10, 0, 2, 2])
    var moved = route([10, 0, 2, 2])
    moved.take(Lease(address: [10, 9, 9, 9], prefix: 16, router: [10, 9, 0, 1]))
    #expect(moved.source == [10, 9, 9, 9] && moved.prefix == 16 && moved.gateway == [10, 9, 0, 1])
    // What was next door is not any more.
    var far = route(nil)
    far.take(Lease(address: [10, 9, 9, 9], prefix: 16, router: [10, 9, 0, 1]))
    #expect(far.gateway == [10, 9, 0, 1])
    var near = route(nil)
    near.take(Lease(address: [192, 0, 2, 1], prefix: 32, router: nil))
    #expect(near.gateway == nil)
  }
}
