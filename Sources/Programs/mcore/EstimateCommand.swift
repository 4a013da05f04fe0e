import ArgumentParser
import Arming
import Capture
import CoreEncoding
import DumpBasics

struct Estimate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "How large would a dump be, how long would it take, and is there room for it?",
    discussion: """
      Of a dump, or of this machine as it runs (/proc/kcore, the default): pages by class; from a sample of each class bytes \
      and seconds for each level and format; whether the targets of /etc/mcore.conf have room for what it asks for; and the \
      crashkernel= that they need. Nothing is written.
      """)

  @Flag(help: "Print JSON; docs/estimate.md has the members.")
  var json = false

  @OptionGroup var work: WorkOptions

  @Argument(help: "A dump, or /proc/kcore.")
  var source = "/proc/kcore"

  func run() throws {
    try failing { () throws(DumpError) in
      let estimate = try Capture.estimate(source, threads: work.threads, ConsoleReporter(quiet: true))
      let room = TargetRoom { estimate.bytes($0, $1) }
      try standardOutput(
        json ? estimate.json(room.json).text() + "\n" : ([estimate.text] + room.lines).joined(separator: "\n") + "\n")
    }
  }
}
