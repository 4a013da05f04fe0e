internal import CoreEncoding
public import DumpBasics

extension KernelQueries {
  /// `mcore ps`: all tasks.
  public func tasks(json: Bool) throws(DumpError) -> String {
    let tasks = TaskList(view).tasks
    guard !tasks.isEmpty else { throw failure("no tasks can be read") }
    if json { return JSON.array(tasks.map(\.json)).text() }
    // PIDs go up to 4,194,304.
    var lines = ["    PID    PROC  CPU ST TASK               NAME"]
    for task in tasks {
      lines.append(
        right(String(task.pid), 7) + " " + right(String(task.process), 7) + " " + right(task.cpu.map { String($0) } ?? "-", 4)
          + " \(task.state)\(task.isOnCPU ? "*" : " ") \(hex(task.address)) "
          + (task.isKernelThread ? "[\(task.name)]" : task.name))
    }
    return lines.joined(separator: "\n")
  }

  /// `mcore bt`: stacks.
  public func stacks(_ choice: Choice, json: Bool) throws(DumpError) -> String {
    let unwinder = Unwinder(view: view, places: places)
    let processors = Processors(view)
    let tasks = TaskList(view)
    var found: [(task: TaskInfo?, cpu: Int?, trace: StackTrace)] = []
    func add(_ processor: Processors.Processor) {
      let trace = processor.registers.map { unwinder.unwind($0) } ?? StackTrace(problem: "this CPU left no registers")
      found.append((processor.task.flatMap { tasks[$0] }, processor.number, trace))
    }
    for processor in processors.all {
      switch choice {
      case .crashed: if processor.number == processors.crashed { add(processor) }
      case .all, .cpus: add(processor)
      case .cpu(let number): if processor.number == number { add(processor) }
      case .pid(let pid): if let task = processor.task.flatMap({ tasks[$0] }), task.pid == pid { add(processor) }
      }
    }
    // Without names of variables a kernel does not say which CPU it was; its stack does.
    if choice == .crashed, found.isEmpty, !processors.isTold {
      for processor in processors.all {
        add(processor)
        if found.last?.trace.isOfPanic == true { break }
        found.removeLast()
      }
    }
    let running = Set(processors.all.compactMap(\.task))
    for task in tasks.tasks where !running.contains(task.address) {
      switch choice {
      case .all: if task.state != "X" { found.append((task, nil, unwinder.sleeping(task))) }
      case .pid(let pid): if task.pid == pid { found.append((task, nil, unwinder.sleeping(task))) }
      default: break
      }
    }
    if found.isEmpty, choice == .crashed { throw failure("no CPU is known to have panicked: --cpus prints the stacks of all") }
    guard !found.isEmpty else { throw failure("no such CPU or task, or no stack of it") }
    if json {
      return JSON.array(
        found.map {
          .object([
            ("cpu", $0.cpu.map { .number(Int64($0)) } ?? .null), ("task", $0.task.map(\.json) ?? .null), ("stack", $0.trace.json),
          ])
        }
      ).text()
    }
    var lines: [String] = []
    for (task, cpu, trace) in found {
      lines.append(
        "PID \(task.map { String($0.pid) } ?? "?") \(task?.name ?? "?") \(task.map { String($0.state) } ?? "?")"
          + (cpu.map { ", CPU \($0)" } ?? ""))
      lines += trace.lines.map { "  " + $0 }
    }
    return lines.joined(separator: "\n")
  }
}
