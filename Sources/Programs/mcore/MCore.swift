import ArgumentParser
import Capture
import DumpBasics

/// The program for people on a running machine. `main` maps wrong usage to exit status 2, as scripts expect
/// of mcore.
@main
struct Main {
  static func main() {
    do {
      var command = try MCore.parseAsRoot()
      try command.run()
    } catch {
      let code = MCore.exitCode(for: error)
      if code == .validationFailure {
        standardError(MCore.fullMessage(for: error))
        MCore.exit(withError: ExitCode(2))
      }
      MCore.exit(withError: error)
    }
  }
}

struct MCore: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mcore",
    abstract: "Saves and reads crash dumps of Linux kernels.",
    discussion: """
      A dump is a core file of a crashed kernel: /proc/vmcore in a crash kernel, or a file of any format that mcore reads \
      (ELF cores, plain or compressed, makedumpfile's kdump format, flattened too, and LKCD's). What mcore writes opens in crash, drgn and gdb after \
      'mcore convert --format elf', and in anything that reads gzip.

      Exit status: 0 done; 1 failed; 2 wrong usage; 3 a dump was written and is usable, but with findings or cut short; \
      ps, bt -a: not all tasks could be found.

      Examples:
        mcore save /proc/vmcore /var/crash          save the crashed kernel's memory
        mcore info /var/crash/2026-11-23T*          what a dump is
        mcore dmesg DUMP | tail                     the last lines of its log
        mcore crash DUMP                            the dump in crash, of whatever format it is; also drgn, gdb
        mcore convert --format elf DUMP vmcore      a plain ELF for other tools
      """,
    version: toolVersion,
    subcommands: [
      Save.self, Info.self, List.self, Verify.self, Dmesg.self, Report.self, Bt.self, Ps.self, Sym.self, Types.self,
      Show.self, Crash.self, Drgn.self, Gdb.self, Estimate.self, Convert.self, Repair.self, Index.self, Last.self,
      Network.self, Arm.self, Disarm.self, Rehearse.self, Status.self,
    ] + mountCommands)
}

/// Options that several commands share.
struct WorkOptions: ParsableArguments {
  @Option(name: .long, help: "Worker threads; 0 is one for each CPU. The bytes written do not depend on it.")
  var threads = 0

  @Flag(name: .shortAndLong, help: "No progress, only errors and results.")
  var quiet = false

  func validate() throws {
    guard (0...1024).contains(threads) else { throw ValidationError("--threads is 0 to 1024, not \(threads)") }
  }
}

/// What a person knows better than the dump.
struct KnowledgeOptions: ParsableArguments {
  @Option(help: "A file with the text of VMCOREINFO, where the dump has none or a wrong one.")
  var vmcoreinfo: String?
}

/// Ends with a `DumpError` printed as one line.
func failing(_ body: () throws(DumpError) -> Void) throws {
  do throws(DumpError) { try body() } catch {
    standardError("mcore: error: \(error)")
    throw ExitCode(error.kind == .usage ? 2 : 1)
  }
}
