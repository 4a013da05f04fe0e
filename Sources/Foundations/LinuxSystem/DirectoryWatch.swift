internal import DumpBasics
internal import Glibc

/// Wakes a wait when something appears in a directory (inotify(7)). Where that is not to be had it is a plain
/// wait: whoever uses it looks again in any case.
public struct DirectoryWatch: ~Copyable {
  private let descriptor: Int32

  public init(_ directory: String) {
    descriptor = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
    if descriptor >= 0 {
      unsafe _ = inotify_add_watch(descriptor, directory, UInt32(IN_CREATE | IN_MOVED_TO | IN_ATTRIB))
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Returns when something changed, or after that many milliseconds.
  public func wait(milliseconds: Int32) {
    var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    unsafe _ = poll(&waiting, 1, milliseconds)
    var events = [UInt8](repeating: 0, count: 4096)
    // What happened is not looked at, only that it did.
    while unsafe Glibc.read(descriptor, &events, events.count) > 0 {}
  }
}
