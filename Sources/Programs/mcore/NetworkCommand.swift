import ArgumentParser
import Arming
import DumpBasics

struct Network: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print what a crash kernel needs to reach the far sides of targets.",
    discussion: """
      A record of the routes from this machine: devices by their addresses, drivers, VLANs, source addresses, gateways; names \\
      are resolved now. In a crash initramfs it is /etc/mcore.network, and mcore-capture rebuilds just that.

      Exit status: 0 all of it can be rebuilt; 1 something can't, and is named.
      """)

  @Argument(help: "Targets, such as ssh:root@host:/var/crash.")
  var targets: [String]

  func run() throws {
    let recorder = NetworkRecorder(targets)
    try failing { () throws(DumpError) in try standardOutput(recorder.record.text()) }
    for problem in recorder.problems { standardError("mcore: warning: \(printable(problem))") }
    if !recorder.problems.isEmpty { throw ExitCode(1) }
  }
}
