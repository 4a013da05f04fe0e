public import DumpBasics
internal import CLinux
internal import Glibc
internal import Synchronization

extension File {
  /// A file for reading at any offset; `-` is standard input. What comes through a pipe (`-`, `/dev/stdin`, a
  /// FIFO, `<(command)`) is copied to a file without a name in $TMPDIR (or /var/tmp), which needs room for
  /// all of it and is gone with this process. It is copied once, however often it is opened.
  public static func seekable(_ path: String) throws(DumpError) -> File {
    if path != "-" {
      return System.isPipe(path) ? try copied(path) { () throws(DumpError) in try File(path, .read) } : try File(path, .read)
    }
    let input = File(borrowing: 0, name: "standard input")
    // A process that goes into the background gives its standard input up.
    if input.isRegular { return try kept(input, "standard input") }
    if System.isTerminal(0) {
      throw DumpError(.usage, "a dump can't be read from a terminal", at: "-", advice: "redirect standard input, or name a file")
    }
    return try copied("standard input") { File(borrowing: 0, name: "standard input") }
  }

  /// Standard input, and copies of pipes that this process has made, by name; they stay open.
  private static let copies = Mutex<[String: Int32]>([:])

  private static func copied(_ name: String, _ open: () throws(DumpError) -> File) throws(DumpError) -> File {
    if let known = copies.withLock({ $0[name] }) { return File(borrowing: known, name: name) }
    let directory = System.environment("TMPDIR") ?? "/var/tmp"
    let copy = try File(directory, .nameless)
    let input = try open()
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = try System.retrying(.read, name) {
        unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(input.descriptor, $0.baseAddress, $0.count) }
      }
      if count == 0 { break }
      do throws(DumpError) { try copy.write(Array(buffer[0..<count])) } catch {
        throw DumpError(
          error.kind, "no room for what comes through this pipe: \(error.what)", at: "\(name), copied to \(directory)",
          advice: "set TMPDIR to a directory with room for the dump")
      }
    }
    return try kept(copy, name)
  }

  /// The same file for as long as this process lives.
  private static func kept(_ file: borrowing File, _ name: String) throws(DumpError) -> File {
    if let known = copies.withLock({ $0[name] }) { return File(borrowing: known, name: name) }
    let kept = Int32(try System.retrying(.open, name) { Int(fcntl(file.descriptor, F_DUPFD_CLOEXEC, 3)) })
    copies.withLock { $0[name] = kept }
    return File(borrowing: kept, name: name)
  }
}

extension System {
  /// Whether a path leads to a pipe or a socket: what is read from it once is gone.
  public static func isPipe(_ path: String) -> Bool {
    var info = Glibc.stat()
    guard unsafe stat(path, &info) == 0 else { return false }
    return [S_IFIFO, S_IFSOCK].contains(info.st_mode & S_IFMT)
  }
}

extension File {
  /// Where the next bytes are that the file system keeps, at `offset` or behind it: what is before is zeros
  /// in a hole (lseek(2), SEEK_DATA). `offset` itself where that can't be told; nil behind the last data.
  public func nextData(from offset: UInt64) -> UInt64? {
    let found = lseek(descriptor, Int(clamping: offset), Int32(MCORE_SEEK_DATA))
    if found >= 0 { return UInt64(found) }
    return errno == ENXIO ? nil : offset
  }
}
