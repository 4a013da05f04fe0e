internal import DumpBasics
internal import LinuxSystem

/// Whether the files of modules are what they should be: a target whose driver is missing or can't be
/// unpacked is none.
struct CheckedModules {
  private let machine: Machine
  private let directory: String
  /// What was found, by the path below `directory`: each file is looked at once.
  private var known: [String: DumpError?] = [:]

  init(_ machine: Machine, _ directory: String) { (self.machine, self.directory) = (machine, directory) }

  /// The same plan; one that can't be reached where a module of it is not to be had.
  mutating func checked(_ plan: TargetPlan, _ index: ModuleIndex) -> TargetPlan {
    guard plan.crashWord != nil, let files = try? index.loadOrder(plan.modules) else { return plan }
    for file in files {
      let problem = known[file] ?? problem(of: file)
      known.updateValue(problem, forKey: file)
      guard let problem else { continue }
      var plan = plan
      (plan.crashWord, plan.reason) = (nil, problem)
      return plan
    }
    return plan
  }

  private func problem(of file: String) -> DumpError? {
    let path = "\(directory)/\(file)"
    guard System.kind(of: path) == .regular else {
      return DumpError("a module that it needs is not there, though modules.dep lists it", at: path, advice: "depmod -a")
    }
    guard let program = ModuleFiles.unpacker(of: file) else { return nil }
    guard System.program(named: program) != nil else {
      // The crash kernel is the running one: what it unpacks by itself, it says (Linux 5.17,
      // kernel/module/decompress.c).
      let own = machine.line("/sys/module/compression")
      if own == program { return nil }
      return DumpError("nothing here unpacks a module that it needs", at: path, advice: "install \(program)")
    }
    let result = try? System.run(Command(program, ["-t", "-q", path], output: .collect), limitSeconds: 60)
    return result?.end == .exited(0)
      ? nil
      : DumpError(
        "a module that it needs is damaged: \(program) does not unpack it", at: path, advice: "install the kernel's package anew")
  }
}
