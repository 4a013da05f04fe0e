public import DumpBasics
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
