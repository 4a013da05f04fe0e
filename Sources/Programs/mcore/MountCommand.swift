import ArgumentParser
import Capture
import DumpBasics
import Mounting

#if FUSE
  let mountCommands: [any ParsableCommand.Type] = [Mount.self]

  struct Mount: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show a dump as a directory, decompressed as it is read.",
      usage: "mcore mount [--foreground] [--strict] [--cache <cache>] <dump> ... <dir>",
      discussion: """
        DIR/vmcore is the plain ELF core, for crash, drgn, gdb and readelf; beside it dmesg.txt, dump.json and report.txt, \
        which is made when it is read. Nothing can be written. 'fusermount3 -u DIR' ends it, and so does an interrupt.
        """)

    @Flag(name: [.customShort("f"), .long], help: "Stay in the foreground; Ctrl-C unmounts.")
    var foreground = false

    @Flag(help: "Memory that the dump does not have is an error, never zeros or a pattern.")
    var strict = false

    @Option(help: "Memory for what was decompressed: \(Limits.sizeForm).")
    var cache = "64M"

    @Argument(
      help: ArgumentHelp(
        "The dump file or its directory, or all parts of a split set; then a directory.", valueName: "dump> ... <dir"),
      completion: .file())
    var files: [String]

    func validate() throws {
      guard files.count >= 2 else { throw ValidationError("name a dump and a directory") }
      guard Limits.bytes(cache) != nil else { throw ValidationError("--cache \(cache): allowed is \(Limits.sizeForm)") }
    }

    func run() throws {
      try failing { () throws(DumpError) in
        try mount(
          Array(files.dropLast()), on: files[files.count - 1], foreground: foreground, isStrict: strict,
          cacheBytes: Limits.bytes(cache) ?? CoreView.defaultCache)
      }
    }
  }
#else
  let mountCommands: [any ParsableCommand.Type] = []
#endif
