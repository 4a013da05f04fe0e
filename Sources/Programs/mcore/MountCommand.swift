import ArgumentParser
import Capture
import DumpBasics
import Mounting

#if FUSE
  let mountCommands: [any ParsableCommand.Type] = [Mount.self]

  struct Mount: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show a dump as a directory, decompressed as it is read.",
      discussion: """
        DIR/vmcore is the plain ELF core, for crash, drgn, gdb and readelf; beside it dmesg.txt and dump.json. Nothing can be \
        written. 'fusermount3 -u DIR' ends it, and so does an interrupt.
        """)

    @Flag(name: [.customShort("f"), .long], help: "Stay in the foreground; Ctrl-C unmounts.")
    var foreground = false

    @Option(help: "Memory for what was decompressed: \(Limits.sizeForm).")
    var cache = "64M"

    @Argument(help: "The dump file or its directory, of any format.")
    var dump: String

    @Argument(help: "A directory.")
    var directory: String

    func validate() throws {
      guard Limits.bytes(cache) != nil else { throw ValidationError("--cache \(cache): allowed is \(Limits.sizeForm)") }
    }

    func run() throws {
      try failing { () throws(DumpError) in
        try mount(dump, on: directory, foreground: foreground, cacheBytes: Limits.bytes(cache) ?? CoreView.defaultCache)
      }
    }
  }
#else
  let mountCommands: [any ParsableCommand.Type] = []
#endif
