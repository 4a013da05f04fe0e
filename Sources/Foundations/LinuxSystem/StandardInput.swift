public import DumpBasics
internal import CLinux
internal import Glibc

extension File {
  /// Standard input, read at any offset. A pipe is copied to a file without a name in $TMPDIR (or /var/tmp),
  /// which needs room for all of it and is gone with this process.
  public static func seekableStandardInput() throws(DumpError) -> File {
    let input = File(borrowing: 0, name: "standard input")
    if input.isRegular { return input }
    if System.isTerminal(0) {
      throw DumpError(.usage, "a dump can't be read from a terminal", at: "-", advice: "redirect standard input, or name a file")
    }
    let directory = System.environment("TMPDIR") ?? "/var/tmp"
    let copy = try File(directory, .nameless)
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = try System.retrying(.read, "standard input") {
        unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(0, $0.baseAddress, $0.count) }
      }
      if count == 0 { return copy }
      try copy.write(Array(buffer[0..<count]))
    }
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
