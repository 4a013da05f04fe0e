internal import CoreEncoding
public import DumpBasics

extension KernelQueries {
  /// Variables whose types a kernel does not state: it does so of those that each CPU has.
  private static let knownTypes = [
    "init_task": "task_struct", "init_mm": "mm_struct", "init_net": "net", "init_uts_ns": "uts_namespace",
    "init_pid_ns": "pid_namespace", "init_user_ns": "user_namespace", "init_nsproxy": "nsproxy", "init_cred": "cred",
    "init_css_set": "css_set", "init_signals": "signal_struct", "contig_page_data": "pglist_data",
    "swapper_space": "address_space",
    "boot_cpu_data": "cpuinfo_x86", "system_wq": "workqueue_struct", "cgrp_dfl_root": "cgroup_root",
  ]

  /// `mcore show SYMBOL[.MEMBER]`: a variable whose type is known. `cpu`: of which CPU, where each has one.
  public func value(of variable: String, cpu: Int?, json: Bool) throws(DumpError) -> Answer {
    let dot = variable.utf8.firstIndex(of: UInt8(ascii: "."))
    let symbol = dot.map { String(variable[..<$0]) } ?? variable
    let path = dot.map { String(variable[variable.utf8.index(after: $0)...]) } ?? ""
    guard let address = anySymbol(symbol) else { throw failure("\(symbol) is no symbol") }
    guard let types = view.types else { throw failure("the kernel's types can't be read") }
    guard let type = types.variable(named: symbol) ?? KernelQueries.knownTypes[symbol].flatMap({ types.type(named: $0) }) else {
      var error = failure("of what type \(symbol) is the kernel does not say")
      error.advice = "give it: mcore show DUMP TYPE \(symbol)"
      throw error
    }
    return try answer(types, type, try copies(symbol, address, cpu), path, json: json)
  }

  /// `mcore show STRUCT ADDRESS`, `mcore show STRUCT SYMBOL`: the members with their values; `path` leads to
  /// one of them.
  public func value(of structure: String, at word: String, path: String, cpu: Int?, json: Bool) throws(DumpError) -> Answer {
    let (types, type) = try table(with: structure)
    if let address = KernelQueries.address(word) {
      if cpu != nil { throw DumpError(.usage, "an address is of no CPU: --cpu goes with a symbol") }
      return try answer(types, type, [(nil, address)], path, json: json)
    }
    guard let address = anySymbol(word) else { throw failure("\(word) is no address and no symbol") }
    return try answer(types, type, try copies(word, address, cpu), path, json: json)
  }

  /// Where a variable lies: in one place, or in one for each CPU.
  private func copies(_ symbol: String, _ address: UInt64, _ cpu: Int?) throws(DumpError) -> [(cpu: Int?, address: UInt64)] {
    guard let start = view.symbol("__per_cpu_start"), let end = view.symbol("__per_cpu_end"), start <= address, address < end
    else {
      if cpu != nil { throw DumpError(.usage, "\(symbol) is there once, not for each CPU") }
      return [(nil, address)]
    }
    let count = Processors.count(view)
    if let cpu, !(0..<count).contains(cpu) { throw failure("there is no CPU \(cpu): the machine has \(count)") }
    let found = (cpu.map { [$0] } ?? Array(0..<min(count, 256))).compactMap { cpu in view.perCPU(symbol, cpu).map { (cpu, $0) } }
    if found.isEmpty { throw failure("where the CPUs have their copies of \(symbol) can't be read") }
    return found
  }

  private func answer(
    _ types: TypeTable, _ type: Int, _ places: [(cpu: Int?, address: UInt64)], _ path: String, json: Bool
  ) throws(DumpError) -> Answer {
    var member = TypeTable.Member(bitOffset: 0, bits: 0, type: type)
    let name = types.name(types.bare(type)) ?? types.text(of: type)
    if !path.isEmpty {
      guard let found = types.member(types.bare(type), path) else { throw failure("\(name) has no member \(path)") }
      member = found
    }
    var texts: [String] = []
    var entries: [JSON] = []
    var problems: [DumpError] = []
    var values = 0
    var unreadable = 0
    for (cpu, address) in places {
      var reader = FieldReader(view, self.places, types)
      let field = reader.field(path.isEmpty ? name : path, member, address)
      let tally = field.tally
      values += tally.values
      unreadable += tally.unreadable
      let place = address &+ UInt64(member.bitOffset / 8)
      if tally.unreadable > 0 {
        problems.append(failure("at \(hex(place)) \(tally.unreadable) of \(tally.values) values are not in the dump"))
      }
      let head = cpu.map { "CPU \($0): " } ?? ""
      if let value = field.value {
        texts.append(
          "\(head)\(field.type) \(path.isEmpty ? "" : "\(name).")\(path.isEmpty ? "at \(hex(place))" : path) = \(value.text)")
      } else {
        var lines = ["\(head)\(types.name(types.bare(member.type)) ?? name) at \(hex(place))"]
        let inner = reader.fields(types.bare(member.type), place)
        for field in inner { field.lines(1, &lines) }
        texts += lines
      }
      entries.append(
        .object([("cpu", cpu.map { .number(Int64($0)) } ?? .null), ("address", .string(hex(place))), ("value", field.json)]))
    }
    if values == unreadable, let first = problems.first { throw first }
    return Answer(text: json ? JSON.array(entries).text() : texts.joined(separator: "\n"), problems: problems)
  }
}
