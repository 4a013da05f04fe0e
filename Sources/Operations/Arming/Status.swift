internal import CaptureInit
internal import Capture
internal import CoreEncoding
internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem
internal import Reading
internal import SoftBoot

/// Whether a crash now would be captured, and how.
public struct ArmStatus: Sendable {
  /// Why not, a line each. None: it would be.
  public var problems: [String] = []
  /// What an operator may want to know besides.
  public var notes: [String] = []
  var targets: [TargetStatus] = []
  /// What the settings say that ends in a panic.
  var panicOn: [String] = []
  /// What is known to be needed, in bytes.
  var neededMemory: UInt64?
  var crashMemory: UInt64
  var isLoaded: Bool
  var armed: ArmedRecord?
  /// The newest dump in the targets that are mounted.
  var lastDump: ListedDump?

  public var isCaptured: Bool { problems.isEmpty }

  /// For people: where the dump goes first, and what follows when that fails.
  private var way: String {
    guard let armed, armed.savesDirectly else { return "by the soft boot (memory:)" }
    let ways = armed.targets.map { $0.utf8.starts(with: "memory:".utf8) ? "the soft boot (\($0))" : printable($0) }
    return "to \(ways.joined(separator: ", then by "))"
  }

  public var text: String {
    var lines = [isCaptured ? "a crash now would be captured, \(way)" : "a crash now would not be captured"]
    lines += problems.map { "  because: \($0)" }
    if let armed { lines.append("armed \(UTCTime(secondsSince1970: armed.time).text) for kernel \(printable(armed.release))") }
    lines.append("memory for the crash kernel: \(humanBytes(crashMemory))")
    lines += targets.map { printable($0.text) }
    if let lastDump {
      lines.append("last dump: \(lastDump.timeText), \(lastDump.status), \(printable(lastDump.path))")
    }
    if isLoaded, armed != nil {
      lines.append("panics on: \(panicOn.isEmpty ? "what does by itself" : panicOn.joined(separator: ", "))")
    }
    return (lines + notes.map { "note: \($0)" }).joined(separator: "\n")
  }

  /// docs/arm.md, "mcore status".
  public var json: String {
    JSON.object([
      ("version", .string("1.0")), ("captured", .bool(isCaptured)),
      ("way", isCaptured ? .string(armed?.way ?? "memory") : .null),
      ("targets", .array(targets.map(\.json))),
      ("panic_on", .array(panicOn.map(JSON.string))),
      ("armed_targets", .array((armed?.targets ?? []).map(JSON.string))),
      ("problems", .array(problems.map(JSON.string))), ("notes", .array(notes.map(JSON.string))),
      (
        "crash_kernel",
        .object([
          ("loaded", .bool(isLoaded)), ("memory_bytes", .unsigned(crashMemory)),
          ("needed_bytes", neededMemory.map(JSON.unsigned) ?? .null),
        ])
      ),
      (
        "last_dump",
        lastDump.map {
          .object([
            ("path", .string($0.path)), ("time", $0.time.map(JSON.number) ?? .null), ("status", .string($0.status)),
            ("reason", .optional($0.reason)),
          ])
        } ?? .null
      ),
      (
        "armed",
        armed.map { .object([("time", .number($0.time)), ("release", .string($0.release)), ("boot_id", .string($0.bootID))]) }
          ?? .null
      ),
    ]).text()
  }
}

/// Looks; with `probes` a file is written to each target, and removed.
public func armStatus(_ request: ArmRequest = ArmRequest(), probes: Bool = true) -> ArmStatus {
  let machine = Machine(root: request.root)
  let record = ArmedRecord(readFrom: "\(request.directory)/armed")
  var status = ArmStatus(crashMemory: machine.crashMemory, isLoaded: machine.isCrashKernelLoaded, armed: record)
  if status.crashMemory == 0 {
    status.problems.append(
      machine.word("crashkernel=") == nil
        ? "no memory is set aside for a crash kernel: put crashkernel=256M on the kernel command line and reboot"
        : "no memory is set aside for a crash kernel, though crashkernel= asks for it: dmesg | grep -i crashkernel says why")
  } else if !status.isLoaded {
    let loop = CrashLoop(record, bootID: machine.bootID, now: System.secondsSince1970)
    status.problems.append(
      loop.isLoop ? "\(loop.text): find the cause, then mcore arm --force" : "no crash kernel is loaded: run mcore arm")
  } else if let record {
    if record.bootID != machine.bootID {
      status.problems.append(
        "the crash kernel that is loaded is not that of mcore, which was armed in an earlier boot: run mcore arm")
    } else if record.memory != machine.memory, record.usesMemory || !machine.keepsCrashMap {
      status.problems.append("memory was added or removed since: run mcore arm again")
    }
  } else if !System.isRoot {
    status.problems.append("only root can tell whether the crash kernel that is loaded is that of mcore: sudo mcore status")
  } else {
    status.problems.append("the crash kernel that is loaded is not that of mcore: run mcore arm")
  }
  status.neededMemory = record.flatMap { neededMemory($0, machine) }
  if let needed = status.neededMemory, status.isLoaded, status.crashMemory < needed {
    status.notes.append(
      "the crash kernel has \(humanBytes(status.crashMemory)) of memory, and \(humanBytes(needed)) are known to be enough")
  }
  if let window = record?.window, isDumpWaiting(window, request) {
    status.problems.append(
      "a dump that nobody saved lies in the memory that is set aside (\(window.text)), and it is never overwritten: "
        + "mcore-capture source=memory: target=... saves it")
  }
  status.checkSurroundings(machine, record)
  status.checkTargets(request, machine, record, probes)
  if machine.lockdown != "none", record?.savesDirectly != true {
    status.problems.append("the kernel is locked down (\(machine.lockdown))")
  }
  if let word = machine.word("mcore.region=") {
    let region = try? RegionExtents(word: word)
    if let region, isDumpWaiting(region, request) {
      status.notes.append(
        "a dump that nobody saved lies in memory, and a restart loses it: mcore-capture source=memory: target=... saves it")
    }
    let returned = machine.returnedRAM
    let left = region.map { $0.ranges.flatMap { RangeSet.subtracting(returned, from: $0) } }
    let size = left.map { humanBytes($0.reduce(0) { $0 + $1.count }) } ?? "a part"
    status.notes.append(
      "this kernel was started by a crash kernel: \(size) of memory, where the dump was, is back after a reboot")
  }
  if let rehearsal = RehearsalRecord(readFrom: "\(request.directory)/rehearsal") {
    status.notes.append(rehearsal.description(bootID: machine.bootID))
  }
  if let present = machine.line("/sys/devices/system/cpu/present"), let online = machine.line("/sys/devices/system/cpu/online"),
    present != online
  {
    status.notes.append(
      "CPUs \(online) of \(present) are on: where another CPU than the boot CPU panicked, the soft boot leaves that one off; reboot when it suits"
    )
  }
  return status
}

extension ArmStatus {
  fileprivate mutating func checkSurroundings(_ machine: Machine, _ record: ArmedRecord?) {
    for rival in machine.rivals {
      problems.append("\(rival) loads a crash kernel of its own: systemctl disable --now \(rival), then mcore arm")
    }
    if machine.isHandingOver {
      problems.append(
        "this kernel hands its crash kernel data that it dies of (Kexec HandOver, before Linux 7.1): put kho=off on the kernel command line and reboot"
      )
    }
    if machine.word("crashkernel=")?.utf8.suffix(4).elementsEqual(",cma".utf8) == true {
      notes.append("crashkernel=...,cma: the crash kernel waits 10 s, and what lay in that memory is not in the dump")
    }
    guard let record, record.bootID == machine.bootID else { return }
    let hooks = HookFiles.stages.map { "\(HookFiles.directory)/\($0)" }
    let files = hooks.flatMap { folder in ((try? System.names(in: machine.root + folder)) ?? []).map { "\(folder)/\($0)" } }
    for path in [ArmPlan.configurationFile] + hooks + files {
      if let changed = System.modificationTime(machine.root + path), changed > record.time {
        notes.append("\(path) has changed since: mcore arm")
      }
    }
  }

  fileprivate mutating func checkTargets(_ request: ArmRequest, _ machine: Machine, _ record: ArmedRecord?, _ probes: Bool) {
    var request = request
    request.isForced = true
    // Armed with targets of its own, or with a window: those count.
    if let record, request.targets.isEmpty, record.window != nil { request.targets = record.targets }
    // By --kernel and --initrd, which nothing else tells of.
    if let record, !record.kernel.isEmpty, request.kernel == nil {
      request.kernel = record.kernel
      if !record.initrd.isEmpty { request.initrd = record.initrd }
    }
    let plan: ArmPlan
    do throws(DumpError) { plan = try ArmPlan(request, machine) } catch {
      if isLoaded, record != nil { problems.append("what is armed can't be checked: \(error)") }
      return
    }
    for problem in plan.problems { notes.append("\(problem)") }
    checkTriggers(plan.running.panicOn, machine, record)
    let words = plan.targets.map(\.word) + plan.mirrors.map(\.word)
    lastDump = newestDump(in: dumpDirectories(words, machine))
    for disk in words.compactMap({ (try? TargetSpec($0))?.rawDisk }) {
      guard let path = disk.path, let header = try? RawDisk(path, forWriting: false).header(), header.state != .saved else {
        continue
      }
      notes.append(
        "a dump waits on raw:\(disk.name), which takes no other until then: mcore save raw:\(disk.name) DIRECTORY saves it")
    }
    let estimate = machine.dumpEstimate(plan.words)
    targets = plan.targets.map { TargetStatus($0, machine, estimate: estimate, probes: probes, transfer: plan.transfer) }
    if let record, record.bootID == machine.bootID, let network = plan.network?.text(),
      !record.isNetwork(network, request.directory)
    {
      notes.append("the network is not what it was when it was armed: mcore arm")
    }
    if isLoaded, let record, !record.targets.isEmpty { judgeArmed(record, plan, machine) }
  }

  /// What ends in a panic now, which is not always what was asked for.
  private mutating func checkTriggers(_ wanted: [PanicTrigger], _ machine: Machine, _ record: ArmedRecord?) {
    panicOn = wanted.filter { machine.isSet($0) }.map(\.text)
    guard isLoaded, let record, record.bootID == machine.bootID else { return }
    let changed = Sysctl.ofBoot(machine, record).filter { machine.line("/proc/sys/\($0.name)") != $0.after }
    for sysctl in changed { notes.append("\(sysctl.name) is no longer \(sysctl.after), as panic-on= wants it: mcore arm") }
    for trigger in wanted where !machine.isSet(trigger) && !changed.contains(where: { trigger.needs($0.name, machine) }) {
      notes.append("panic-on=\(trigger.text) is not set: mcore arm sets it, or says why it can't")
    }
  }

  /// What was armed counts, not what the settings have come to say since.
  private mutating func judgeArmed(_ record: ArmedRecord, _ plan: ArmPlan, _ machine: Machine) {
    let known = zip(plan.targets, targets)
    var isAnyUsable = false
    for word in record.targets {
      // A far side that nobody finds now has no crash word, and is told by its own.
      let now = known.first { $0.0.crashWord.map(shownTarget) == word || $0.0.isRemote && $0.0.word == word }?.1
      if let now {
        if now.isUsable { isAnyUsable = true }
      } else if machine.hasDisk(ofTarget: word) {
        isAnyUsable = true
        notes.append("\(printable(word)) is armed, and the settings lead elsewhere by now: mcore arm")
      } else {
        notes.append("\(printable(word)) is armed, and that disk is not there: mcore arm")
      }
    }
    if !isAnyUsable { problems.append("none of the targets that are armed can take a dump") }
  }
}

extension Machine {
  /// Whether the disk that an armed target names is there. True for what is on no disk.
  fileprivate func hasDisk(ofTarget word: String) -> Bool {
    guard let spec = try? TargetSpec(word), spec.deviceAndPath != nil || spec.rawDisk != nil else { return true }
    return (spec.rawDisk?.path ?? spec.devicePath) != nil
  }
}

/// What the crash kernel that was armed needs; nil where what it starts is not there any more.
private func neededMemory(_ record: ArmedRecord, _ machine: Machine) -> UInt64? {
  guard record.usesMemory, record.kernel.isEmpty == false else { return record.neededMemory > 0 ? record.neededMemory : nil }
  guard System.kind(of: record.kernel) == .regular else { return nil }
  return try? neededMemory(NormalFiles(kernel: record.kernel, initrd: record.initrd), isByReset: record.isByReset, machine)
}

/// Whether the window holds a dump that was not saved. What can't be looked at (without root, say) holds
/// none.
private func isDumpWaiting(_ window: RegionExtents, _ request: ArmRequest) -> Bool {
  guard request.root.isEmpty else { return false }
  let memory = MachineMemory(window.ranges, waitSeconds: 0)
  return (try? findRegion(memory, in: window.ranges, expecting: RegionExpectation()))?.isUnsaved ?? false
}
