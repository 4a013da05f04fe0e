import ArgumentParser
import Capture
import DumpTarget

/// Options about targets that are disks or other machines.
struct TransferArguments: ParsableArguments {
  @Option(help: "A target that gets the dump at the same time as the one that is tried; repeat it for more.")
  var mirror: [String] = []

  @Option(help: "Bytes a second that go out over a network, to each target: \(Limits.sizeForm).")
  var maxRate: String?

  @Option(help: "Seconds within which a far side that can't be reached is tried again.")
  var wait: UInt64 = 0

  @Option(help: "A target that takes no byte for so long has failed: \(Limits.timeForm) (default: 3m).")
  var stallTime: String?

  @Option(help: "The private key for targets ssh:.")
  var sshKey: String?

  @Option(help: "The file of host keys that targets ssh: may have.")
  var sshKnownHosts: String?

  @Option(help: "A file of options of curl for targets https:: CA certificates, logins, proxies.")
  var curlConfig: String?

  @Flag(help: "Write to a target raw: whatever is on the disk.")
  var force = false

  func validate() throws {
    _ = try options()
    for word in mirror where (try? TargetSpec(word).nextKernel) != NextKernelNeed.none {
      throw ValidationError("--mirror: one of its targets is none that a dump can be written to at the same time")
    }
  }

  func options() throws -> TransferOptions {
    var options = TransferOptions()
    options.stallSeconds = try amount("--stall-time", stallTime, Limits.timeForm, Limits.seconds) ?? options.stallSeconds
    options.maxRate = try amount("--max-rate", maxRate, Limits.sizeForm, Limits.bytes) ?? 0
    guard wait <= 3600 else { throw ValidationError("--wait is 0 to 3600, not \(wait)") }
    options.waitSeconds = wait
    options.sshKey = sshKey
    options.sshKnownHosts = sshKnownHosts
    options.curlConfig = curlConfig
    options.force = force
    return options
  }
}

/// What an option says in words such as `90s` or `2G`; nil where it is not given.
func amount(_ name: String, _ text: String?, _ form: String, _ parse: (String) -> UInt64?) throws -> UInt64? {
  guard let text else { return nil }
  guard let value = parse(text) else { throw ValidationError("\(name) \(text): allowed is \(form)") }
  return value
}
