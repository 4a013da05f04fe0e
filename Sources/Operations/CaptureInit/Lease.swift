internal import DumpBasics
internal import LinuxSystem

/// An IPv4 address by DHCP (RFC 2131, RFC 2132), asked for anew: who has the one that was recorded may be
/// another machine by now.
struct Lease: Equatable {
  /// 4 bytes.
  var address: [UInt8]
  var prefix: UInt8
  var router: [UInt8]?

  /// Seconds for an answer, at most, and milliseconds after which a question is asked again.
  private static let limit: UInt64 = 10
  private static let patience: Int32 = 2000

  /// Nil where nobody answers in time, or nothing that holds.
  /// - Parameter wanted: the address that the machine had.
  static func get(_ device: String, _ mac: [UInt8], wanted: [UInt8]) throws(DumpError) -> Lease? {
    let socket = try BroadcastSocket(device: device, port: 68)
    let end = clampedSum(System.monotonicNanoseconds, limit * 1_000_000_000)
    let id = Array(mac.suffix(4))
    while System.monotonicNanoseconds < end {
      try socket.send(LeaseMessage.text(1, id, mac, [(50, wanted)]), toPort: 67)
      guard let offer = answer(2, socket, id, mac), let server = offer.server else { continue }
      try socket.send(LeaseMessage.text(3, id, mac, [(50, offer.lease.address), (54, server)]), toPort: 67)
      if let granted = answer(5, socket, id, mac), granted.lease.address == offer.lease.address { return granted.lease }
    }
    return nil
  }

  /// Others may talk to everybody too: what fits is waited for.
  private static func answer(_ kind: UInt8, _ socket: borrowing BroadcastSocket, _ id: [UInt8], _ mac: [UInt8]) -> LeaseMessage? {
    let end = clampedSum(System.monotonicNanoseconds, UInt64(patience) * 1_000_000)
    while System.monotonicNanoseconds < end {
      if let bytes = socket.receive(milliseconds: patience), let answer = LeaseMessage(bytes, kind, id, mac) { return answer }
    }
    return nil
  }
}

/// A message of a DHCP server: all in it is a claim.
struct LeaseMessage {
  var lease: Lease
  /// The server's own address.
  var server: [UInt8]?

  private static let cookie: [UInt8] = [99, 130, 83, 99]

  /// Nil where it is no answer of this kind (option 53) to us, or makes no sense.
  init?(_ bytes: [UInt8], _ kind: UInt8, _ id: [UInt8], _ mac: [UInt8]) {
    guard bytes.count >= 240, bytes.count <= 1500, bytes[0] == 2, Array(bytes[4..<8]) == id, Array(bytes[28..<34]) == mac,
      Array(bytes[236..<240]) == LeaseMessage.cookie
    else { return nil }
    lease = Lease(address: Array(bytes[16..<20]), prefix: 0)
    var isOfKind = false
    var rest = bytes[240...]
    while let option = rest.first, option != 255 {
      rest = rest.dropFirst()
      if option == 0 { continue }
      guard let length = rest.first, rest.count > Int(length) else { return nil }
      let value = Array(rest.dropFirst().prefix(Int(length)))
      rest = rest.dropFirst(1 + Int(length))
      switch (option, length) {
      case (53, 1): isOfKind = value[0] == kind
      case (54, 4): server = value
      case (3, 4...): lease.router = Array(value[..<4])
      case (1, 4):
        let mask = value.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        lease.prefix = UInt8(truncatingIfNeeded: mask.nonzeroBitCount)
        // Its ones come first.
        if (~mask & (~mask &+ 1)) != 0 { return nil }
      default: break
      }
    }
    guard isOfKind, lease.prefix > 0, LeaseMessage.isHost(lease.address), lease.router.map(LeaseMessage.isHost) != false else {
      return nil
    }
  }

  /// Neither 0, nor this machine itself, nor many, nor all.
  private static func isHost(_ address: [UInt8]) -> Bool { address[0] > 0 && address[0] < 224 && address[0] != 127 }

  /// A question: DISCOVER is 1, REQUEST 3. It is answered to everybody, since we have no address yet.
  static func text(_ kind: UInt8, _ id: [UInt8], _ mac: [UInt8], _ options: [(UInt8, [UInt8])]) -> [UInt8] {
    var bytes: [UInt8] = [1, 1, 6, 0] + id + [0, 0, 0x80, 0] + [UInt8](repeating: 0, count: 16) + mac
    bytes += [UInt8](repeating: 0, count: 202) + cookie + [53, 1, kind]
    for (option, value) in options { bytes += [option, UInt8(truncatingIfNeeded: value.count)] + value }
    // What we want to know: mask and router.
    bytes += [55, 2, 1, 3, 255]
    return bytes + [UInt8](repeating: 0, count: max(0, 300 - bytes.count))
  }
}
