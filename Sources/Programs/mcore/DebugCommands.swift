import ArgumentParser
import Capture
import Debugging
import DumpBasics
import Mounting

/// What `mcore crash`, `drgn` and `gdb` have in common.
struct DebugOptions: ParsableArguments {
  @Option(help: "The vmlinux with debug information. Without it, it is searched for.")
  var vmlinux: String?

  @Flag(help: "Take this vmlinux though it is another kernel's.")
  var force = false

  @Option(help: "Memory for what was decompressed: \(Limits.sizeForm).")
  var cache = "64M"

  @Argument(help: "The dump file or its directory, of any format.", completion: .file())
  var dump: String

  @Argument(parsing: .postTerminator, help: "Words for the program.")
  var words: [String] = []

  func validate() throws {
    guard Limits.bytes(cache) != nil else { throw ValidationError("--cache \(cache): allowed is \(Limits.sizeForm)") }
    if force, vmlinux == nil { throw ValidationError("--force is for a file that --vmlinux names") }
  }

  func run(_ tool: DebugTool) throws {
    var status: Int32 = 0
    try failing { () throws(DumpError) in
      var session = DebugSession(tool, [dump], cacheBytes: Limits.bytes(cache) ?? CoreView.defaultCache)
      session.vmlinux = vmlinux
      session.force = force
      session.words = words
      session.progress = { standardError("mcore: \(printable($0))") }
      status = try session.run()
    }
    if status != 0 { throw ExitCode(status) }
  }

  static let search = """
    The vmlinux is searched for by the kernel's build ID and release: in /usr/lib/debug, in /lib/modules/RELEASE/build, and \
    with debuginfod-find where DEBUGINFOD_URLS is set. A dump that the program does not read as it is, is mounted for it, \
    in a directory of its own that is gone with it.

    The exit status is the program's; 128 and the signal's number where a signal ended it; 1 or 2 where it did not come to that.
    """
}

struct Crash: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Open a dump in crash.", discussion: DebugOptions.search + "\n\nExample: mcore crash DUMP -- -i commands")
  @OptionGroup var options: DebugOptions
  func run() throws { try options.run(.crash) }
}

struct Drgn: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Open a dump in drgn.", discussion: DebugOptions.search + "\n\nExample: mcore drgn DUMP -- script.py")
  @OptionGroup var options: DebugOptions
  func run() throws { try options.run(.drgn) }
}

struct Gdb: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Open a dump in gdb.",
    discussion: DebugOptions.search
      + "\n\nWhere KASLR moved the kernel, gdb is told how far. Example: mcore gdb DUMP -- -batch -ex bt")
  @OptionGroup var options: DebugOptions
  func run() throws { try options.run(.gdb) }
}
