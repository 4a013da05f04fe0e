public import DumpBasics
internal import CaptureInit
internal import DumpTarget
internal import LinuxSystem
internal import SoftBoot

/// What `mcore arm` would do.
public struct ArmCheck: Sendable {
  /// For people.
  public var lines: [String] = []
  /// What is wrong in the settings; with any, arm refuses.
  public var problems: [DumpError] = []
  /// Why it would not arm besides.
  public var refusal: DumpError?
  /// What `crashkernel=` has to set aside, in MiB, as this machine is now; a multiple of 16.
  public var crashkernelMegabytes: UInt64 = 0
}

/// Looks, and changes nothing.
public func checkArm(_ request: ArmRequest) throws(DumpError) -> ArmCheck {
  let machine = Machine(root: request.root)
  var check = ArmCheck()
  // For the largest of the ways: where memory is short, the soft boot is left out of what would be armed.
  var generous = request
  generous.isForced = true
  if let plan = try? ArmPlan(generous, machine) { check.crashkernelMegabytes = (megabytes(plan.neededMemory) + 15) / 16 * 16 }
  let plan = try ArmPlan(request, machine)
  check.problems = plan.problems
  for line in plan.lines { check.lines.append("target \(line)") }
  if plan.savesDirectly {
    let names = plan.modules.map { ModuleIndex.name(ofFile: $0) }
    check.lines.append("modules: \(names.isEmpty ? "none, all is built in" : names.joined(separator: " "))")
  }
  for line in plan.assemblies.flatMap(\.lines) { check.lines.append("put together: \(line)") }
  if !plan.files.isEmpty {
    check.lines.append(
      "programs, libraries, keys and firmware: \(plan.files.count) files, \(humanBytes(plan.files.size))")
  }
  if let network = plan.network {
    for line in network.text().utf8.split(separator: 0x0a).dropFirst() { check.lines.append("network: \(Substring(line))") }
  }
  check.lines.append(
    "panics on: \(plan.running.panicOn.isEmpty ? "what does by itself" : plan.running.panicOn.map(\.text).joined(separator: ", "))"
  )
  if !plan.hooks.names.isEmpty {
    check.lines.append("hooks: \(plan.hooks.names.joined(separator: " ")) (\(humanBytes(plan.hooks.files.size)))")
  }
  check.lines += plan.warnings
  check.lines.append("CPUs of the crash kernel: \(plan.processors.count) (\(plan.processors.words))")
  check.lines += [plan.processors.warning].compactMap(\.self)
  check.lines.append(
    "memory for the crash kernel: \(humanBytes(machine.crashMemory)) set aside, \(humanBytes(plan.neededMemory)) needed "
      + "(crashkernel=\(check.crashkernelMegabytes)M has room for all targets)")
  do throws(DumpError) { try plan.requireSomething() } catch { check.refusal = error }
  let record = "\(request.directory)/armed"
  let loop = CrashLoop(ArmedRecord(readFrom: record), bootID: machine.bootID, now: System.secondsSince1970)
  if check.refusal == nil, loop.isLoop, !request.isForced { check.refusal = loop.refusal(at: record) }
  if check.refusal == nil, machine.crashMemory < plan.neededMemory {
    check.refusal = DumpError(
      .full, "too little memory is set aside for a crash kernel", at: "crashkernel=",
      advice: "put crashkernel=\(check.crashkernelMegabytes)M on the kernel command line and reboot")
  }
  return check
}
