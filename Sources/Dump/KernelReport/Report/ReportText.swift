internal import DumpBasics

extension ReportContent {
  /// The report for a person: what crashed first, then what leads to why.
  var lines: [String] {
    var text = ReportLines()
    crash(&text)
    stacks(&text)
    if !log.isEmpty {
      text.head("The log's last \(log.count) lines")
      for line in log { text.add("  " + line) }
    }
    waits(&text)
    processors(&text)
    memory(&text)
    work(&text)
    if let system {
      if !system.fileSystems.isEmpty {
        text.head("File systems")
        for entry in system.fileSystems {
          text.item(entry.name, entry.type + (entry.isFrozen ? ", FROZEN: its writers wait" : ""))
        }
      }
      if !system.mounts.isEmpty {
        text.head("Mounts: \(system.mountCount)")
        for entry in system.mounts.prefix(64) { text.item(entry.path, entry.text) }
        if system.mountCount > 64 { text.add("  … and \(system.mountCount - 64) more") }
      }
      if !system.hardwareErrors.isEmpty {
        text.head("Hardware errors that the kernel recovered from")
        for entry in system.hardwareErrors {
          text.item(entry.kind, "\(entry.count), the last at \(UTCTime(secondsSince1970: entry.last).text)")
        }
      }
    }
    if !modules.isEmpty {
      text.head("Modules")
      text.add("  " + modules.joined(separator: " "))
    }
    if !notes.isEmpty {
      text.head("What this report lacks")
      for note in notes { text.add("  " + note) }
    }
    return text.lines
  }

  private func work(_ text: inout ReportLines) {
    if let pools = workqueues?.pools, !pools.isEmpty {
      text.head("Workqueues with work that nobody has begun")
      for pool in pools { text.item(pool.name, pool.text) }
    }
    if let timers, !timers.wheels.shown.isEmpty {
      text.head(timers.title)
      for wheel in timers.wheels.shown { text.item(wheel.name, wheel.text) }
      if let more = timers.wheels.more { text.add("  " + more) }
    }
    if let requests, requests.count > 0 {
      text.head("Requests on their way to block devices: \(requests.count)")
      for request in requests.shown { text.item(request.disk, request.text) }
      if requests.count > requests.shown.count { text.add("  … and \(requests.count - requests.shown.count) more") }
    }
    if let devices = network?.devices, !devices.isEmpty {
      text.head("Network devices")
      for device in devices { text.item(device.fullName, device.text) }
    }
  }

  private func crash(_ text: inout ReportLines) {
    if let cut { text.add("INCOMPLETE: " + cut) }
    text.head("What crashed")
    text.item("reason", reason ?? "the log does not tell")
    if let crashed {
      let task = crashed.task.map { "\($0.name) (PID \($0.pid))" } ?? "a task that is not known"
      text.item("where", "CPU \(crashed.processor.number), \(task)")
    }
    if let cgroup { text.item("cgroup", cgroup) }
    text.item("kernel", release + (version.map { " \($0)" } ?? ""))
    if let node, !node.isEmpty, node != "(none)" { text.item("host", node) }
    if let machine { text.item("machine", machine) }
    if let crashTime { text.item("time", UTCTime(secondsSince1970: crashTime).text) }
    if let uptime { text.item("uptime", exactSeconds(uptime) + " s (the log's last line)") }
    if let taint { text.item("tainted", taint.isEmpty ? "no" : taint.joined(separator: "; ")) }
    if let commandLine { text.item("booted with", commandLine) }
    if let signature {
      text.item("signature", "\(signature.hash) (\(([signature.kind] + signature.frames).joined(separator: " ")))")
    }
  }

  private func stacks(_ text: inout ReportLines) {
    if let crashed {
      text.head("The stack of the panic")
      text.stack(crashed.trace)
      if let telling, let registers = telling.registers {
        text.add("  registers in \(telling.place.text):")
        text.registers(registers)
      }
      if let code {
        var bytes = ""
        for (index, byte) in code.bytes.enumerated() {
          let digits = padded(byte, 2, radix: 16)
          bytes += code.start &+ UInt64(index) == code.at ? " <\(digits)>" : " " + digits
        }
        text.add("  code:" + bytes)
      }
    }
    if !others.isEmpty {
      text.head(othersHeading)
      for other in others.prefix(64) {
        text.add("  CPU \(other.processor.number): \(other.task.map { "\($0.name) (PID \($0.pid))" } ?? "?")")
        text.stack(other.trace)
      }
      if others.count > 64 { text.add("  … and \(others.count - 64) more") }
    }
  }

  private func waits(_ text: inout ReportLines) {
    if waitingCount == 0 { return }
    text.head("Tasks that wait (D): \(waitingCount)")
    for (tasks, isCycle) in chains {
      let names = tasks.map { "\($0.name) (PID \($0.pid))" }
      if isCycle {
        text.add("  DEADLOCK: " + (names + names.prefix(1)).joined(separator: " waits for "))
      } else {
        text.add("  " + names.joined(separator: " waits for "))
      }
    }
    for entry in holders {
      text.add(
        "  \(entry.task.name) (PID \(entry.task.pid)), \(holderText(entry))")
      text.stack(entry.trace)
    }
    for entry in waiting.prefix(24) {
      let what = waitText(entry)
      text.add("  \(entry.task.name) (PID \(entry.task.pid))" + (what.isEmpty ? "" : ", " + what))
      text.stack(entry.trace)
    }
    let shown = min(24, waiting.count)
    if waitingCount > shown { text.add("  … and \(waitingCount - shown) more (--json has \(waiting.count))") }
  }

  /// For how long a task has waited, and for what.
  func waitText(_ entry: TaskStack) -> String {
    var parts = entry.waited.map { ["has not run for \(seconds($0)) s"] } ?? []
    if let wait = entry.wait {
      var line = "waits for \(wait.kind.rawValue)"
      if let lock = wait.lock { line += " " + (entry.lockName ?? hex(lock)) }
      if let function = wait.function { line += " in \(function)" }
      if let holder = entry.holder { line += ", held by \(holder.name) (PID \(holder.pid))" }
      if let readers = wait.readers {
        line += ", held by \(readers == 1 ? "a reader" : "\(readers) readers")"
        if let last = entry.lastReader { line += ", the last that took it: \(last.name) (PID \(last.pid))" }
      }
      parts.append(line)
    }
    return parts.joined(separator: ", ")
  }

  /// What a task is that holds a lock and is in no state D.
  func holderText(_ entry: TaskStack) -> String {
    let what = waitText(entry)
    return "\(entry.task.state), holds what others wait for" + (what.isEmpty ? "" : ", " + what)
  }

  /// Others than the one that panicked, where one did.
  var othersHeading: String { crashed == nil ? "The CPUs" : "The other CPUs" }

  private func processors(_ text: inout ReportLines) {
    if taskCount == 0 { return }
    text.head("What ran")
    text.item("tasks", "\(taskCount): " + states.map { "\($0.count) \($0.state)" }.joined(separator: ", "))
    if load.count == 3 { text.item("load", load.joined(separator: " ") + " (1, 5, 15 minutes)") }
    for entry in running.prefix(64) {
      let task = entry.task.map { "\($0.name) (PID \($0.pid))" } ?? "?"
      text.item(
        "CPU \(entry.cpu)",
        task + (entry.runnable.map { ", \($0) runnable" } ?? "") + (runnableNames(entry).map { ": \($0)" } ?? ""))
    }
  }

  /// Who could run beside the one that ran.
  func runnableNames(_ entry: Running) -> String? {
    if entry.waiting.isEmpty { return nil }
    return entry.waiting.prefix(8).map { "\($0.name) (PID \($0.pid))" }.joined(separator: ", ")
      + (entry.waiting.count > 8 ? ", …" : "")
  }

  private func memory(_ text: inout ReportLines) {
    guard let memory, !memory.zones.isEmpty || !memory.processes.isEmpty else { return }
    text.head("Memory")
    if let total = memory.totalPages { text.item("in all", pages(total)) }
    for zone in memory.zones {
      let marks = zone.watermarks.count == 3 ? ", watermarks " + zone.watermarks.map(pages).joined(separator: " / ") : ""
      var line = "\(zone.free.map(pages) ?? "?") of \(pages(zone.managed)) free" + marks
      if let free = zone.free, let low = zone.watermarks.first, free < low { line += ": BELOW the lowest" }
      text.item("\(zone.name), node \(zone.node)", line)
    }
    if !memory.counts.isEmpty {
      text.item("used by", memory.counts.map { "\($0.name) \(pages($0.pages))" }.joined(separator: ", "))
    }
    for huge in memory.hugePages { text.item("hugetlb", "\(huge.total) of \(humanBytes(huge.pageBytes)), \(huge.free) free") }
    if !memory.slabs.isEmpty { text.add("  largest slab caches") }
    for slab in memory.slabs {
      text.add("    \(slab.name): \(humanBytes(slab.bytes)), \(slab.objects) objects of \(slab.objectSize) B")
    }
    if !memory.processes.isEmpty { text.add("  largest processes") }
    for process in memory.processes {
      text.add("    \(process.task.name) (PID \(process.task.pid)): " + process.text)
    }
  }

  func pages(_ count: UInt64) -> String {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: pageBytes)
    return overflow ? "\(count) pages" : humanBytes(bytes)
  }
}

/// `12.345678` of nanoseconds.
func exactSeconds(_ nanoseconds: UInt64) -> String {
  "\(nanoseconds / 1_000_000_000).\(padded(nanoseconds % 1_000_000_000 / 1000, 6))"
}

/// `12.3` of nanoseconds.
func seconds(_ nanoseconds: UInt64) -> String { "\(nanoseconds / 1_000_000_000).\(nanoseconds / 100_000_000 % 10)" }

/// Lines under headings.
struct ReportLines {
  private(set) var lines: [String] = []

  mutating func head(_ text: String) {
    if !lines.isEmpty { lines.append("") }
    lines.append(text)
  }

  mutating func add(_ line: String) { lines.append(line) }

  mutating func item(_ name: String, _ value: String) {
    lines.append("  " + name + String(repeating: " ", count: max(1, 14 - name.utf8.count)) + value)
  }

  mutating func stack(_ trace: StackTrace) {
    for line in trace.lines { lines.append("    " + line) }
  }

  mutating func registers(_ registers: RegisterSet) {
    var line = "   "
    for (index, name) in registers.names.enumerated() {
      line += " \(name) \(padded(registers.values[index], 16, radix: 16))"
      if index % 3 == 2 {
        lines.append(line)
        line = "   "
      }
    }
    if line != "   " { lines.append(line) }
  }
}

extension StackTrace {
  /// One line a function. `?` marks what merely looks like a return address.
  var lines: [String] {
    var lines: [String] = []
    for (index, frame) in frames.enumerated() {
      if frame.registers != nil, index > 0 { lines.append("-- interrupted --") }
      lines.append((frame.isReliable ? "" : "? ") + frame.place.text)
      if frame.repeats > 0 { lines.append("-- the same \(frame.repeats) more times --") }
    }
    if reachedUser { lines.append("-- user space --") }
    if let problem { lines.append("(\(problem))") }
    return lines
  }
}
