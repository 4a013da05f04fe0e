internal import CoreEncoding
public import CrashedKernel
public import DumpBasics

/// Small questions to a dump: tasks, stacks, names, types, values.
public struct KernelQueries {
  private let view: KernelView
  private let places: CodePlaces

  /// - Throws: when there is no way to the kernel's memory.
  public init(_ kernel: CrashedKernel) throws(DumpError) {
    guard let view = KernelView(kernel, isOver: { false }) else {
      throw kernel.findings.first ?? DumpError("there is no way to the kernel's memory")
    }
    self.view = view
    places = CodePlaces(view)
  }

  /// What could not be had.
  public var notes: [String] { view.notes }

  /// Which stacks.
  public enum Choice: Sendable, Equatable { case crashed, all, cpus, cpu(Int), pid(Int32) }

  /// `mcore ps`: all tasks.
  public func tasks(json: Bool) throws(DumpError) -> String {
    let tasks = TaskList(view).tasks
    guard !tasks.isEmpty else { throw failure("no tasks can be read") }
    if json { return JSON.array(tasks.map(\.json)).text() }
    var lines = ["  PID   PROC CPU ST TASK               NAME"]
    for task in tasks {
      lines.append(
        right(String(task.pid), 5) + right(String(task.process), 7) + right(task.cpu.map { String($0) } ?? "-", 4)
          + "  \(task.state)"
          + (task.isOnCPU ? "*" : " ") + hex(task.address) + " " + (task.mm == 0 ? "[\(task.name)]" : task.name))
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
    let running = Set(processors.all.compactMap(\.task))
    for task in tasks.tasks where !running.contains(task.address) {
      switch choice {
      case .all: if task.state != "X" { found.append((task, nil, unwinder.sleeping(task))) }
      case .pid(let pid): if task.pid == pid { found.append((task, nil, unwinder.sleeping(task))) }
      default: break
      }
    }
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

  /// `mcore sym`: an address by name, or a name's address.
  public func symbol(_ word: String) throws(DumpError) -> String {
    if let address = KernelQueries.address(word) {
      let place = places.place(address, isReturn: false)
      guard place.function != nil else { throw failure("\(word) is in no function or variable that has a name") }
      return "\(hex(address)) \(place.text)"
    }
    guard let address = view.symbol(word) else { throw failure("the kernel has no symbol \(word)") }
    return "\(hex(address)) \(word)"
  }

  /// `0x…`, or 16 hex digits.
  private static func address(_ word: String) -> UInt64? {
    if word.utf8.starts(with: "0x".utf8) { return UInt64(word.dropFirst(2), radix: 16) }
    return word.utf8.count == 16 ? UInt64(word, radix: 16) : nil
  }

  private func right(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.utf8.count)) + text
  }

  private func failure(_ what: String) -> DumpError {
    DumpError(what, at: view.kernel.source.name, advice: view.notes.joined(separator: "; "))
  }

  // MARK: types and values

  /// `mcore types`: the members of a structure with offsets and sizes, the values of an enumeration.
  public func type(_ name: String) throws(DumpError) -> String {
    if let types = view.types, let dot = name.utf8.firstIndex(of: UInt8(ascii: ".")) {
      // `structure.member`: one line of it.
      guard let member = types.member(String(name[..<dot]), String(name[name.utf8.index(after: dot)...])) else {
        throw failure("the kernel has no member \(name)")
      }
      let bits = member.bits > 0 ? ", bits \(member.bitOffset % 8) to \(member.bitOffset % 8 + member.bits - 1)" : ""
      let size = types.size(member.type).map { "\($0) bytes" } ?? "of no size"
      return "\(name): offset \(member.offset)\(bits), \(size), \(TypeText(types: types).text(member.type))"
    }
    guard let types = view.types, let type = types.type(named: name) else { throw failure("the kernel has no type \(name)") }
    let bare = types.bare(type)
    switch types.kind(bare) {
    case .enumeration, .enumeration64:
      return (["enum \(name)"] + types.enumerators(bare).map { "  \($0.name) = \($0.value)" }).joined(separator: "\n")
    case .structure, .union:
      var lines = ["\(types.kind(bare) == .union ? "union" : "struct") \(name), \(types.size(bare) ?? 0) bytes"]
      members(bare, 0, 1, &lines, nil)
      return lines.joined(separator: "\n")
    default: return "\(name): \(TypeText(types: types).text(type)), \(types.size(type).map { "\($0) bytes" } ?? "of no size")"
    }
  }

  /// `mcore show STRUCT ADDRESS`, `mcore show SYMBOL`: the members with their values; `path` leads to one of
  /// them.
  public func value(of structure: String, at word: String, path: String = "") throws(DumpError) -> String {
    guard let types = view.types, let type = types.type(named: structure) else {
      throw failure("the kernel has no type \(structure)")
    }
    guard let address = KernelQueries.address(word) ?? view.symbol(word) else {
      throw failure("\(word) is no address and no symbol")
    }
    var bare = types.bare(type)
    var place = address
    if !path.isEmpty {
      guard let member = types.member(bare, path) else { throw failure("\(structure) has no member \(path)") }
      let text = TypeText(types: types)
      place = address &+ UInt64(member.offset)
      bare = types.bare(member.type)
      if types.kind(bare) != .structure, types.kind(bare) != .union {
        return "\(text.text(member.type)) \(structure).\(path) = \(scalar(member, address))"
      }
    }
    var lines = ["\(types.name(bare) ?? structure) at \(hex(place))"]
    members(bare, 0, 1, &lines, place)
    return lines.joined(separator: "\n")
  }

  private func members(_ type: Int, _ start: Int, _ depth: Int, _ lines: inout [String], _ address: UInt64?) {
    guard let types = view.types, depth < 8, lines.count < 5000 else { return }
    let text = TypeText(types: types)
    for (name, member) in types.members(type) {
      let indent = String(repeating: "  ", count: depth)
      let bare = types.bare(member.type)
      let isInner = types.kind(bare) == .structure || types.kind(bare) == .union
      let offset = start + member.bitOffset / 8
      let place = member.bits > 0 ? "\(offset):\(member.bitOffset % 8)/\(member.bits)" : "\(offset)"
      var line = indent + right(place, 6) + "  \(name ?? "") : \(text.text(member.type))"
      if let address, !isInner { line += " = " + scalar(member, address) }
      lines.append(line)
      if isInner, name == nil || address != nil {
        members(bare, offset, depth + 1, &lines, address.map { $0 &+ UInt64(member.bitOffset / 8) })
      }
    }
  }

  private func scalar(_ member: TypeTable.Member, _ address: UInt64) -> String {
    guard let types = view.types else { return "?" }
    let place = address &+ UInt64(member.bitOffset / 8)
    if member.bits > 0 {
      guard member.bits < 57, let word = view.u64(place) else { return "?" }
      return String(word >> UInt64(member.bitOffset % 8) & (1 << UInt64(member.bits) - 1))
    }
    let bare = types.bare(member.type)
    if let (element, count) = types.array(bare) {
      if types.size(element) == 1, let text = view.text(place, limit: min(count, 256)) { return "\"\(text)\"" }
      guard let size = types.size(element), [1, 2, 4, 8].contains(size), types.kind(types.bare(element)) != .structure else {
        return "[…]"
      }
      let values = (0..<min(count, 16)).map { index in view.integer(place &+ UInt64(index * size), size).map(hex) ?? "?" }
      return "[" + values.joined(separator: ", ") + (count > 16 ? ", …]" : "]")
    }
    guard let size = types.size(bare), let value = view.integer(place, size) else { return "?" }
    if types.kind(bare) == .pointer {
      let code = places.place(value, isReturn: false)
      return hex(value) + (code.function == nil ? "" : " (\(code.text))")
    }
    if types.isSigned(member.type) {
      let shift = UInt64(64 - 8 * size)
      return String(Int64(bitPattern: value << shift) >> Int64(shift))
    }
    return value > 0xffff ? "\(value) (\(hex(value)))" : String(value)
  }
}

/// Types as C writes them, roughly.
struct TypeText {
  let types: TypeTable

  func text(_ type: Int, depth: Int = 0) -> String {
    if depth > 12 { return "…" }
    func inner() -> String { text(types.target(type) ?? 0, depth: depth + 1) }
    switch types.kind(type) {
    case nil, .void: return "void"
    case .pointer: return inner() + " *"
    case .const: return "const " + inner()
    case .volatile: return "volatile " + inner()
    case .restrict, .typeTag, .declarationTag: return inner()
    case .array:
      guard let (element, count) = types.array(type) else { return "?" }
      return text(element, depth: depth + 1) + "[\(count)]"
    case .structure: return "struct " + (types.name(type) ?? "{…}")
    case .union: return "union " + (types.name(type) ?? "{…}")
    case .enumeration, .enumeration64: return "enum " + (types.name(type) ?? "{…}")
    case .prototype: return "function"
    case .forward: return "struct " + (types.name(type) ?? "?")
    default: return types.name(type) ?? "?"
    }
  }
}
