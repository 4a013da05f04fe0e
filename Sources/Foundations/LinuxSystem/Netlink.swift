// rtnetlink(7): what the kernel knows of links, addresses and routes, and how they are set. Numbers from
// linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h.
public import DumpBasics
internal import Glibc

/// A message to or from the kernel: a type, a fixed head, and attributes.
public struct NetlinkMessage: Sendable, Equatable {
  public var type: UInt16
  public var flags: UInt16
  /// `ifinfomsg`, `ifaddrmsg` or `rtmsg`.
  public var head: [UInt8]
  public var attributes: [NetlinkAttribute]

  public init(_ type: UInt16, flags: UInt16 = 0, head: [UInt8], _ attributes: [NetlinkAttribute] = []) {
    self.type = type
    self.flags = flags
    self.head = head
    self.attributes = attributes
  }

  public subscript(_ type: UInt16) -> [UInt8]? { attributes.first { $0.type == type }?.bytes }

  // Types, and flags of requests.
  public static let error: UInt16 = 2
  public static let done: UInt16 = 3
  public static let newLink: UInt16 = 16
  public static let getLink: UInt16 = 18
  public static let newAddress: UInt16 = 20
  public static let getAddress: UInt16 = 22
  public static let newRoute: UInt16 = 24
  public static let getRoute: UInt16 = 26
  public static let request: UInt16 = 1
  public static let acknowledge: UInt16 = 4
  public static let dump: UInt16 = 0x300
  public static let create: UInt16 = 0x400
  public static let replace: UInt16 = 0x100

  /// Bytes of the fixed head, by type.
  static func headSize(_ type: UInt16) -> Int {
    switch type {
    case newLink, getLink: 16
    case newAddress, getAddress: 8
    case newRoute, getRoute: 12
    default: 0
    }
  }

  /// With the header of netlink(7) in front.
  public func encoded(sequence: UInt32) -> [UInt8] {
    let body = head + NetlinkAttribute.encoded(attributes)
    return bytes(UInt32(16 + body.count)) + bytes(type) + bytes(flags) + bytes(sequence) + [0, 0, 0, 0] + body
  }

  /// The messages in what the kernel sent. What is cut or too long is left out.
  public static func parse(_ datagram: [UInt8]) -> [NetlinkMessage] {
    var messages: [NetlinkMessage] = []
    var rest = datagram[...]
    while rest.count >= 16 {
      let length = Int(word(rest, 0))
      let type = half(rest, 4)
      guard length >= 16, length <= rest.count else { break }
      let body = rest.dropFirst(16).prefix(length - 16)
      let size = headSize(type)
      if type == error || type == done {
        messages.append(NetlinkMessage(type, flags: half(rest, 6), head: Array(body.prefix(4))))
      } else if body.count >= size {
        messages.append(
          NetlinkMessage(
            type, flags: half(rest, 6), head: Array(body.prefix(size)), NetlinkAttribute.parse(body.dropFirst(size))))
      }
      rest = rest.dropFirst((length + 3) & ~3)
    }
    return messages
  }
}

/// A type and bytes, which may be attributes themselves.
public struct NetlinkAttribute: Sendable, Equatable {
  public var type: UInt16
  public var bytes: [UInt8]

  public init(_ type: UInt16, _ bytes: [UInt8]) {
    self.type = type
    self.bytes = bytes
  }

  public init(_ type: UInt16, _ value: UInt32) { self.init(type, LinuxSystem.bytes(value)) }
  public init(_ type: UInt16, _ value: UInt16) { self.init(type, LinuxSystem.bytes(value)) }
  public init(_ type: UInt16, _ text: String) { self.init(type, Array(text.utf8) + [0]) }
  public init(_ type: UInt16, _ nested: [NetlinkAttribute]) { self.init(type, NetlinkAttribute.encoded(nested)) }

  public var text: String { String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
  public var number: UInt32? { bytes.count == 4 ? word(bytes[...], 0) : nil }

  static func encoded(_ attributes: [NetlinkAttribute]) -> [UInt8] {
    var all: [UInt8] = []
    for attribute in attributes {
      let length = 4 + attribute.bytes.count
      all += LinuxSystem.bytes(UInt16(truncatingIfNeeded: length)) + LinuxSystem.bytes(attribute.type) + attribute.bytes
      all += [UInt8](repeating: 0, count: (4 - length % 4) % 4)
    }
    return all
  }

  public static func parse(_ bytes: ArraySlice<UInt8>) -> [NetlinkAttribute] {
    var attributes: [NetlinkAttribute] = []
    var rest = bytes
    while rest.count >= 4 {
      let length = Int(half(rest, 0))
      guard length >= 4, length <= rest.count else { break }
      // The two upper bits are flags.
      attributes.append(NetlinkAttribute(half(rest, 2) & 0x3fff, Array(rest.dropFirst(4).prefix(length - 4))))
      rest = rest.dropFirst((length + 3) & ~3)
    }
    return attributes
  }
}

/// In the byte order of this machine, as netlink has it.
private func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
  var rest = value.littleEndian
  return (0..<(value.bitWidth / 8)).map { _ in
    defer { rest >>= 8 }
    return UInt8(truncatingIfNeeded: rest)
  }
}

private func half(_ bytes: ArraySlice<UInt8>, _ offset: Int) -> UInt16 {
  let start = bytes.startIndex + offset
  return UInt16(bytes[start]) | UInt16(bytes[start + 1]) << 8
}

private func word(_ bytes: ArraySlice<UInt8>, _ offset: Int) -> UInt32 {
  UInt32(half(bytes, offset)) | UInt32(half(bytes, offset + 2)) << 16
}

/// A socket to the kernel's network configuration.
public struct Netlink: ~Copyable {
  private let descriptor: Int32
  private static let limit = 4096

  public init() throws(DumpError) {
    descriptor = Int32(
      try System.retrying(.open, "netlink") {
        Int(socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
      })
  }

  deinit { close(descriptor) }

  /// Sends a request and returns the answers: of a dump all of them. Throws the kernel's error.
  public func answers(to message: NetlinkMessage, about object: String) throws(DumpError) -> [NetlinkMessage] {
    var message = message
    message.flags |=
      NetlinkMessage.request | (message.flags & NetlinkMessage.dump == NetlinkMessage.dump ? 0 : NetlinkMessage.acknowledge)
    let request = message.encoded(sequence: 1)
    _ = try System.retrying(.write, object) { unsafe send(descriptor, request, request.count, 0) }
    var answers: [NetlinkMessage] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while answers.count < Netlink.limit {
      let count = try System.retrying(.read, object) { unsafe recv(descriptor, &buffer, buffer.count, 0) }
      guard count > 0 else { break }
      for answer in NetlinkMessage.parse(Array(buffer[..<count])) {
        if answer.type == NetlinkMessage.done { return answers }
        if answer.type == NetlinkMessage.error {
          let code = answer.head.count == 4 ? Int32(bitPattern: word(answer.head[...], 0)) : 0
          if code == 0 { return answers }
          throw DumpError(.system(0 &- code), System.errorText(0 &- code), at: object)
        }
        answers.append(answer)
      }
    }
    return answers
  }
}

/// An IPv4 or IPv6 address in words and in bytes.
public enum NetworkAddress {
  /// 4 or 16 bytes; nil for what is no address.
  public static func bytes(_ text: String) -> [UInt8]? {
    for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
      var bytes = [UInt8](repeating: 0, count: count)
      if unsafe inet_pton(family, text, &bytes) == 1 { return bytes }
    }
    return nil
  }

  public static func text(_ bytes: [UInt8]) -> String? {
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    var text = [CChar](repeating: 0, count: 64)
    guard unsafe inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, 64) != nil else { return nil }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// AF_INET or AF_INET6.
  public static func family(_ bytes: [UInt8]) -> UInt8 { UInt8(truncatingIfNeeded: bytes.count == 4 ? AF_INET : AF_INET6) }
}
