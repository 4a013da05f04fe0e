public import DumpBasics
internal import Glibc

/// A UDP socket on one network device that needs no address of its own: it sends to everybody there (udp(7),
/// ip(7)).
public struct BroadcastSocket: ~Copyable {
  private let descriptor: Int32

  public init(device: String, port: UInt16) throws(DumpError) {
    let made = Int32(
      try System.retrying(.open, device) {
        Int(socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
      })
    var yes: Int32 = 1
    let name = Array(device.utf8)
    var address = BroadcastSocket.address(INADDR_ANY, port)
    do throws(DumpError) {
      _ = try System.retrying(.open, device) {
        unsafe Int(
          setsockopt(made, SOL_SOCKET, SO_BROADCAST, &yes, 4)
            | setsockopt(made, SOL_SOCKET, SO_BINDTODEVICE, name, socklen_t(name.count)))
      }
      _ = try System.retrying(.open, device) {
        unsafe withUnsafePointer(to: &address) { pointer in
          unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe Int(bind(made, $0, socklen_t(MemoryLayout<sockaddr_in>.size)))
          }
        }
      }
    } catch {
      close(made)
      throw error
    }
    descriptor = made
  }

  deinit { close(descriptor) }

  private static func address(_ address: UInt32, _ port: UInt16) -> sockaddr_in {
    var made = sockaddr_in()
    made.sin_family = sa_family_t(AF_INET)
    made.sin_port = port.bigEndian
    made.sin_addr.s_addr = address
    return made
  }

  public func send(_ bytes: [UInt8], toPort port: UInt16) throws(DumpError) {
    var address = BroadcastSocket.address(INADDR_BROADCAST, port)
    _ = try System.retrying(.write, "broadcast") {
      unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe sendto(descriptor, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
    }
  }

  /// What comes within that many milliseconds, at most 1500 bytes of it; nil where nothing does.
  public func receive(milliseconds: Int32) -> [UInt8]? {
    var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard unsafe poll(&waiting, 1, milliseconds) > 0 else { return nil }
    var buffer = [UInt8](repeating: 0, count: 1500)
    let count = unsafe recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    return count > 0 ? Array(buffer[..<count]) : nil
  }
}
