internal import CaptureInit
internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem

/// What `arm` is about to do, found out without changing anything.
struct ArmPlan {
  var targets: [TargetPlan] = []
  /// Those that get the dump at the same time.
  var mirrors: [TargetPlan] = []
  /// Words of the settings for the crash kernel.
  var words: [String] = []
  /// What is set on this system.
  var running: RunningSettings
  /// What is wrong in the settings.
  var problems: [DumpError] = []
  /// Files of the modules that the targets need, in the order of loading: paths below `moduleDirectory`.
  var modules: [String] = []
  var moduleDirectory = ""
  let moduleOptions: ModuleOptions
  /// What an administrator has run in the crash kernel.
  let hooks: HookFiles
  /// What the targets on other machines need.
  private(set) var files: [ImageFile] = []
  /// All of that and what the hooks need, each file once.
  var imageFiles: [ImageFile] { files.adding(hooks.files) }
  /// The disk of `last=`; nil where none is set.
  private(set) var last: TargetPlan?
  /// What an operator should hear; nothing of it costs the dump.
  var warnings: [String] {
    targets.compactMap(\.warning) + hooks.warnings
      + [last].compactMap { $0 }.filter { $0.crashWord == nil }.map { "last=\($0.line)" }
  }
  /// How they are reached; nil where there is none.
  private(set) var network: NetworkRecord?
  /// How they are reached from here.
  private(set) var transfer = TransferOptions()
  /// The files of the normal kernel, where memory: is among the targets.
  var normal: NormalFiles?
  /// Memory that the crash kernel needs, in bytes.
  var neededMemory: UInt64 = 0
  var processors: CrashProcessors

  var reachable: [TargetPlan] { targets.filter { $0.crashWord != nil } }
  var usesMemory: Bool { reachable.contains { $0.isMemory } }
  /// Whether the crash kernel saves by itself: to a disk, or to another machine.
  var savesDirectly: Bool { reachable.contains { !$0.isMemory } }
  /// memory: has none.
  var reachableMirrors: [TargetPlan] { savesDirectly ? mirrors.filter { $0.crashWord != nil } : [] }
  private var places: [TargetPlan] { reachable + reachableMirrors + [last].compactMap(\.self) }
  var assemblies: [DeviceAssembly] {
    var all: [DeviceAssembly] = []
    for assembly in places.flatMap(\.assemblies) where !all.contains(assembly) { all.append(assembly) }
    return all
  }

  /// For people: where each target goes, or why it can't be reached.
  var lines: [String] { targets.map(\.line) + mirrors.map { "mirror \($0.line)" } }

  static let configurationFile = "/etc/mcore.conf"

  init(_ request: ArmRequest, _ machine: Machine) throws(DumpError) {
    let path = ArmPlan.configurationFile
    let hasFile = System.kind(of: machine.root + path) != nil
    let settings = CheckedSettings(
      file: hasFile ? try machine.text(path) : "", path: path, commandLine: machine.commandLine)
    (words, problems, running, transfer) = (settings.words, settings.problems, settings.running, settings.transfer)
    hooks = HookFiles(machine)
    moduleOptions = ModuleOptions(machine)
    processors = CrashProcessors(wanted: 1, machine, spare: 0)
    moduleDirectory = "\(machine.root)/lib/modules/\(machine.release)"
    var wanted: [(word: String, origin: String)] = []
    for target in settings.targets where !wanted.contains(where: { $0.word == target.word }) { wanted.append(target) }
    if settings.format.isPaged {
      problems.append(
        DumpError(
          .usage, "format=\(settings.format.rawValue): a crash kernel does not write it", at: path,
          advice: "elf.gz, elf.zst and elf it does; mcore convert makes the other of it"))
    }
    // A window takes the dump, and nothing else does.
    if let window = request.window {
      wanted = [("memory:\(window)", "--window")]
    } else if !request.targets.isEmpty {
      wanted = request.targets.map { ($0, "--target") }
    }
    // Without modules nothing can be said of disks; of memory it can.
    let index: Result<ModuleIndex, DumpError> = result { () throws(DumpError) in
      try ModuleIndex(moduleDirectory, loaded: (try? System.names(in: "\(machine.root)/sys/module")) ?? [])
    }
    let mirrorKey = "mirror="
    let mirrorWords = words.filter { $0.utf8.starts(with: mirrorKey.utf8) }
    words.removeAll { mirrorWords.contains($0) }
    switch index {
    case .success(let index):
      var planner = TargetPlanner(machine, index, settings: words, asks: request.asks)
      var checked = CheckedModules(machine, moduleDirectory)
      for (word, origin) in wanted { targets.append(checked.checked(planner.plan(word, origin), index)) }
      for word in mirrorWords { mirrors.append(planner.plan(String(word.dropFirst(mirrorKey.count)), "mirror=")) }
      let lastKey = "last="
      if let word = value("last", words) {
        let plan = planner.planLast(word)
        words.removeAll { $0.utf8.starts(with: lastKey.utf8) }
        // One that is not there now may be there then.
        words.append(lastKey + (plan.crashWord ?? plan.word))
        last = plan
      }
      if savesDirectly || last?.crashWord != nil {
        modules = try index.loadOrder(places.flatMap(\.modules))
        files = planner.programs.files
        take(planner.kit, machine)
      }
    case .failure(let error):
      for (word, origin) in wanted { targets.append(TargetPlan(word, origin, without: error)) }
    }
    try judgeMemory(request, machine)
    processors = CrashProcessors(
      wanted: running.cpus, machine, spare: machine.crashMemory - min(machine.crashMemory, neededMemory))
  }

  /// What the targets on other machines need, and the firmware of all drivers.
  private mutating func take(_ kit: FarSideKit, _ machine: Machine) {
    if !kit.isEmpty {
      files = files.adding(kit.files)
      network = kit.recorder.record
      words.removeAll { word in FarSideKit.pathKeys.contains { word.utf8.starts(with: "\($0)=".utf8) } }
      words += kit.words
    }
    let scratch = "/run/mcore-module-\(System.processID)"
    let names = modules.flatMap { ModuleFiles.firmware(of: "\(moduleDirectory)/\($0)", scratch: scratch) }
    files += machine.firmwareFiles(names)
  }

  /// What the memory of the crash kernel has to hold. Where it can't hold the normal kernel beside a target
  /// that needs none, memory: is left out.
  private mutating func judgeMemory(_ request: ArmRequest, _ machine: Machine) throws(DumpError) {
    var own = try CrashMemory(kernel: crashKernel(request, machine), machine, modules: moduleBytes)
    own.furtherCPUs = UInt64(max(0, min(running.cpus, machine.onlineCPUs) - 1)) * CrashProcessors.memory
    own.files = imageFiles.size
    own.hasNetwork = network != nil
    neededMemory = own.own
    guard usesMemory else { return }
    do throws(DumpError) {
      try requireMemoryTarget(machine)
      let normal = try normalFiles(request, machine)
      var memory = own
      if !request.isByReset { memory.initrdSize = try File(normal.initrd, .read).size() }
      let needed = request.isByReset ? own.own : memory.withNormalKernel
      if savesDirectly, machine.crashMemory < needed, machine.crashMemory >= own.own, !request.isForced {
        throw DumpError(
          .full,
          "the soft boot needs \(humanBytes(needed)) of memory for the crash kernel, and \(humanBytes(machine.crashMemory)) are set aside",
          at: "crashkernel=", advice: "put crashkernel=\(megabytes(needed))M on the kernel command line and reboot")
      }
      self.normal = normal
      neededMemory = needed
    } catch {
      guard savesDirectly else { throw error }
      for place in targets.indices where targets[place].isMemory {
        (targets[place].crashWord, targets[place].reason) = (nil, error)
      }
    }
  }

  /// - Throws: where nothing would be captured, or the settings are wrong.
  func requireSomething() throws(DumpError) {
    if let problem = problems.first { throw problem }
    if targets.isEmpty {
      throw DumpError(
        .usage, "no target is given: where should the dump go?", at: ArmPlan.configurationFile,
        advice: "write target=/var/crash, and target=memory: on the next line")
    }
    if !reachable.isEmpty { return }
    throw DumpError(
      .unsupported, "no target can be reached by a crash kernel: " + targets.map(\.line).joined(separator: "; "),
      at: ArmPlan.configurationFile, advice: "write target=memory: on a line of its own: then the next boot saves the dump")
  }

  private func requireMemoryTarget(_ machine: Machine) throws(DumpError) {
    if (try? machine.memoryMapRecord()) == nil {
      throw DumpError(
        .unsupported, "the soft boot needs the machine's memory map, which this kernel does not show (arm64 has none)",
        at: "/sys/firmware/memmap", advice: "name a disk or another machine as target")
    }
    guard machine.lockdown == "none" else {
      throw DumpError(
        .unsupported, "the kernel is locked down (\(machine.lockdown)): a crash kernel can't write to memory", at: "/dev/mem",
        advice: "it is because of Secure Boot in most cases")
    }
  }

  /// Bytes of the modules as they are loaded; of those that are compressed about three times their files.
  private var moduleBytes: UInt64 {
    modules.reduce(0) { sum, path in
      let size = (try? File("\(moduleDirectory)/\(path)", .read).size()) ?? 0
      return sum + (path.utf8.suffix(3).elementsEqual(".ko".utf8) ? size : 3 * size)
    }
  }
}

/// Rounded up.
func megabytes(_ bytes: UInt64) -> UInt64 { (bytes + 1 << 20 - 1) >> 20 }

private func result<T>(_ body: () throws(DumpError) -> T) -> Result<T, DumpError> {
  do throws(DumpError) { return .success(try body()) } catch { return .failure(error) }
}
