import ArgumentParser
import Capture
import Reading
import DumpBasics
import KernelReport

struct Report: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Explain a crash: what, where, every stack, who waits for whom, memory.",
    discussion:
      "Needs nothing but the dump: names, types and unwind tables are in it. docs/report.md has an example.\n  mcore report --html DUMP > crash.html"
  )

  @Flag(help: "JSON; docs/report.md has the schema.")
  var json = false

  @Flag(help: "One page of HTML for a ticket: nothing is loaded from elsewhere.")
  var html = false

  @Argument(help: "The dump file or its directory, or /proc/vmcore; or all parts of a split set.", completion: .file())
  var dumps: [String]

  func validate() throws {
    if json && html { throw ValidationError("--json and --html are two forms of one report: give one of them") }
  }

  func run() throws {
    let form: ReportForm = json ? .json : html ? .page : .text
    try failing { () throws(DumpError) in try standardOutput(try explain(dumps, form)) }
  }
}

struct Bt: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print stacks: of the CPU that panicked, or of others.",
    discussion: "A `?` marks what merely looks like a return address.")

  @Flag(name: .shortAndLong, help: "The stacks of all tasks.")
  var all = false

  @Flag(help: "The stacks of all CPUs.")
  var cpus = false

  @Option(name: .shortAndLong, help: "The stack of this CPU.")
  var cpu: Int?

  @Flag(help: "JSON, as in the report.")
  var json = false

  @Argument(help: "The dump file or its directory.", completion: .file())
  var dump: String

  @Argument(help: "The stack of this task.")
  var pid: Int32?

  func validate() throws {
    let given = [all, cpus, cpu != nil, pid != nil].count { $0 }
    if given > 1 { throw ValidationError("a PID, --cpu, --cpus and --all say which stacks: give one of them") }
  }

  func run() throws {
    let choice: KernelQueries.Choice =
      if let pid { .pid(pid) } else if let cpu { .cpu(cpu) } else if all { .all } else if cpus { .cpus } else { .crashed }
    try printing(dump, isOfAll: choice == .all) { (queries) throws(DumpError) in try queries.stacks(choice, json: json) }
  }
}

struct Ps: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the tasks of a dump. A * marks those that ran.",
    discussion: "Ends with 3 where the dump is cut, or a list of tasks is broken: then some are missing.")

  @Flag(help: "JSON, as in the report.")
  var json = false

  @Argument(help: "The dump file or its directory.", completion: .file())
  var dump: String

  func run() throws {
    try printing(dump, isOfAll: true) { (queries) throws(DumpError) in try queries.tasks(json: json) }
  }
}

struct Sym: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what lies at an address (0x…), or where a name does.",
    discussion: "Names are those of the kernel and of its modules.")

  @Argument(help: "The dump file or its directory.", completion: .file())
  var dump: String

  @Argument(help: "Addresses or names.")
  var words: [String]

  @Flag(help: "JSON: address, name, offset, size, module.")
  var json = false

  func run() throws {
    try answering { () throws(DumpError) in try queries(dump).symbols(words, json: json) }
  }
}

struct Types: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print a type of the crashed kernel or of its modules: members with their offsets.")

  @Argument(help: "The dump file or its directory.", completion: .file())
  var dump: String

  @Argument(help: "Structures, unions, enumerations, typedefs (task_struct), or members (task_struct.thread.sp).")
  var names: [String]

  @Flag(help: "JSON: members with offset, size and type; values of enumerations.")
  var json = false

  func run() throws {
    try answering { () throws(DumpError) in try queries(dump).types(names, json: json) }
  }
}

struct Show: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print a structure of the crashed kernel with its values.",
    discussion: """
      mcore show DUMP init_task.comm             a variable whose type is known, or a member of it
      mcore show DUMP runqueues.nr_running       what each CPU has of its own
      mcore show DUMP task_struct 0xff11…        a structure at an address
      mcore show DUMP task_struct init_task comm
      """)

  @Argument(help: "The dump file or its directory.", completion: .file())
  var dump: String

  @Argument(help: "A variable, or a member of it (init_task.comm); or the structure that lies at the address behind it.")
  var what: String

  @Argument(help: "Where the structure lies: an address (0x…) or a symbol.")
  var address: String?

  @Argument(help: "Only this member: thread.sp.")
  var member = ""

  @Option(name: .shortAndLong, help: "Of this CPU alone, where each has its own.")
  var cpu: Int?

  @Flag(help: "JSON: members with offset, type and value.")
  var json = false

  func run() throws {
    try answering { () throws(DumpError) in
      let queries = try queries(dump)
      guard let address else { return try queries.value(of: what, cpu: cpu, json: json) }
      return try queries.value(of: what, at: address, path: member, cpu: cpu, json: json)
    }
  }
}

/// Prints an answer. `isOfAll`: it should tell of all tasks, and where it can't, that is said and the status
/// is 3.
private func printing(_ dump: String, isOfAll: Bool, _ ask: (KernelQueries) throws(DumpError) -> String) throws {
  var isPartial = false
  try failing { () throws(DumpError) in
    let queries = try queries(dump)
    try standardOutput(try ask(queries) + "\n")
    isPartial = isOfAll && queries.isPartial
    if isPartial { for note in queries.notes { standardError("mcore: \(printable(note))") } }
  }
  if isPartial { throw ExitCode(3) }
}

/// Prints what there is to say, then what is wrong with it; ends with 1 where there is something.
private func answering(_ ask: () throws(DumpError) -> KernelQueries.Answer) throws {
  var problems: [DumpError] = []
  try failing { () throws(DumpError) in
    let answer = try ask()
    if !answer.text.isEmpty { try standardOutput(answer.text + "\n") }
    problems = answer.problems
  }
  for problem in problems { standardError("mcore: error: \(problem)") }
  if !problems.isEmpty { throw ExitCode(1) }
}
