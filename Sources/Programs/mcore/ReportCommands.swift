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

  func run() throws {
    let choice: KernelQueries.Choice =
      if let pid { .pid(pid) } else if let cpu { .cpu(cpu) } else if all { .all } else if cpus { .cpus } else { .crashed }
    try failing { () throws(DumpError) in try standardOutput(try queries(dump).stacks(choice, json: json) + "\n") }
  }
}

struct Ps: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "List the tasks of a dump. A * marks those that ran.")

  @Flag(help: "JSON, as in the report.")
  var json = false

  @Argument(help: "The dump file or its directory.", completion: .file())
  var dump: String

  func run() throws {
    try failing { () throws(DumpError) in try standardOutput(try queries(dump).tasks(json: json) + "\n") }
  }
}

struct Sym: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Say what lies at an address (0x…), or where a name does.")

  @Argument(help: "The dump file or its directory.", completion: .file())
  var dump: String

  @Argument(help: "Addresses or names.")
  var words: [String]

  func run() throws {
    try failing { () throws(DumpError) in
      let queries = try queries(dump)
      for word in words { try standardOutput(try queries.symbol(word) + "\n") }
    }
  }
}

struct Types: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Print a type of the crashed kernel: members with their offsets.")

  @Argument(help: "The dump file or its directory.", completion: .file())
  var dump: String

  @Argument(help: "Structures, unions, enumerations, typedefs (task_struct), or members (task_struct.thread.sp).")
  var names: [String]

  func run() throws {
    try failing { () throws(DumpError) in
      let queries = try queries(dump)
      for name in names { try standardOutput(try queries.type(name) + "\n") }
    }
  }
}

struct Show: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print a structure of the crashed kernel with its values.", discussion: "mcore show DUMP task_struct init_task")

  @Argument(help: "The dump file or its directory.", completion: .file())
  var dump: String

  @Argument(help: "A structure or union.")
  var type: String

  @Argument(help: "Where it lies: an address (0x…) or a symbol.")
  var address: String

  @Argument(help: "Only this member: thread.sp.")
  var member = ""

  func run() throws {
    try failing { () throws(DumpError) in
      try standardOutput(try queries(dump).value(of: type, at: address, path: member) + "\n")
    }
  }
}
