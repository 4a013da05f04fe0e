import CrashedKernel
import DumpBasics
import Testing

@testable import KernelReport

/// The small questions.
@Suite struct QueryTests {
  private func queries(_ tiny: TinyKernel = TinyKernel()) throws -> KernelQueries { try KernelQueries(CrashedKernel(tiny)) }

  @Test func aVariableIsShownByItsName() throws {
    let queries = try queries()
    #expect(try queries.value(of: "init_task.comm", cpu: nil, json: false).text == "char[16] task_struct.comm = \"swapper/0\"")
    #expect(
      try queries.value(of: "task_struct", at: "init_task", path: "pid", cpu: nil, json: false).text == "int task_struct.pid = 0")
    let json = try queries.value(of: "init_task.comm", cpu: nil, json: true).text
    #expect(contains(json, "\"value\": \"swapper/0\""))
    // Its type is nowhere: the error says what to give.
    let error = #expect(throws: DumpError.self) { try queries.value(of: "tainted_mask", cpu: nil, json: false) }
    #expect(error?.advice == "give it: mcore show DUMP TYPE tainted_mask")
    #expect(throws: DumpError.self) { try queries.value(of: "init_task", cpu: 1, json: false) }
  }

  @Test func whatIsNotInTheDumpIsAnError() throws {
    let queries = try queries()
    #expect(throws: DumpError.self) {
      try queries.value(of: "task_struct", at: "0xffff888000000000", path: "pid", cpu: nil, json: false)
    }
    #expect(throws: DumpError.self) {
      try queries.value(of: "task_struct", at: "0xffff888000000000", path: "", cpu: nil, json: false)
    }
    // The end of the memory: what is there is shown, and the rest is a problem.
    let partial = try queries.value(of: "task_struct", at: hex(TinyKernel.base + 0x3ff80), path: "", cpu: nil, json: false)
    #expect(contains(partial.text, "pid : int = 0"))
    #expect(partial.problems.count == 1)
    #expect(try queries.value(of: "task_struct", at: "init_task", path: "", cpu: nil, json: false).problems == [])
  }

  @Test func anUnknownWordDoesNotEndTheRest() throws {
    let queries = try queries()
    let answer = queries.symbols(["panic", "nobody", "worker", "0x5"], json: false)
    #expect(answer.text == "\(hex(TinyKernel.base + 0x1000)) panic\n\(hex(TinyKernel.base + 0x1e00)) worker")
    #expect(answer.problems.count == 2)
    #expect(contains(queries.symbols(["panic"], json: true).text, "\"name\": \"panic\""))
    let types = queries.types(["list_head", "nothing", "task_struct.pid"], json: false)
    #expect(types.text.split(separator: "\n").last == "task_struct.pid: offset 8, 4 bytes, int")
    #expect(types.problems.count == 1)
    #expect(contains(queries.types(["list_head"], json: true).text, "\"offset\": 8"))
  }
}
