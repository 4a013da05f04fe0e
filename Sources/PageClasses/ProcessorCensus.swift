public import CrashedKernel
public import DumpBasics

/// How many CPUs left their registers, and how many should have.
///
/// No kernel up to 7.3 puts a count of its CPUs into VMCOREINFO. Where one says `SYMBOL(__num_online_cpus)` (an atomic_t,
/// kernel/cpu.c since 5.3) it is compared; else the check counts as not made, and a report has to say so.
public struct ProcessorCensus: Sendable {
  /// NT_PRSTATUS notes in the dump.
  public let present: Int
  /// CPUs that were online; nil when the kernel can't be asked.
  public let online: Int?
  public let findings: [DumpError]

  /// Whether there was anything to compare with.
  public var isChecked: Bool { online != nil }

  /// No machine that Linux runs on has more CPUs (NR_CPUS).
  private static let limit: UInt32 = 8192

  public init(_ kernel: CrashedKernel) {
    present = kernel.cpuCount
    var online: Int?
    var findings: [DumpError] = []
    if let address = kernel.vmcoreinfo?.symbol("__num_online_cpus"), let memory = kernel.memory,
      let count = try? memory.separate(recording: false).u32(address), (1...ProcessorCensus.limit).contains(count)
    {
      online = Int(count)
    }
    if let online, online != present {
      let what = online > present ? "registers of \(online - present) CPUs are missing" : "there are more registers than CPUs"
      findings.append(DumpError("\(what): \(online) CPUs were online, \(present) left registers", at: "NT_PRSTATUS"))
    }
    self.online = online
    self.findings = findings
  }
}
