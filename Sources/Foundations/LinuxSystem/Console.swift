public import DumpBasics
internal import Glibc

extension System {
  /// Makes /dev/console standard input, output and error.
  public static func openConsole() throws(DumpError) {
    let path = "/dev/console"
    let console = Int32(try retrying(.open, path) { unsafe Int(Glibc.open(path, O_RDWR | O_NOCTTY)) })
    for descriptor: Int32 in 0...2 where descriptor != console { _ = dup2(console, descriptor) }
    if console > 2 { close(console) }
  }

  /// The terminal behind /dev/console, or nil. The console itself can't be a controlling terminal
  /// (tty_open in drivers/tty/tty_io.c); the last name in `active` is the device it stands for
  /// (Documentation/ABI/testing/sysfs-tty).
  public static var consoleTerminal: String? {
    guard let active = try? text(of: "/sys/class/tty/console/active", limit: 4096) else { return nil }
    guard let last = active.utf8.split(whereSeparator: { $0 == 0x20 || $0 == 0x0a }).last else { return nil }
    let path = "/dev/" + String(decoding: last, as: UTF8.self)
    return kind(of: path) == nil ? nil : path
  }

  public static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }
}
