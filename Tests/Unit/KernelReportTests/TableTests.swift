import CrashedKernel
import DumpBasics
import Testing

@testable import KernelReport

/// Types, names and unwind entries out of bytes.
@Suite struct TableTests {
  @Test func membersAreFoundThroughAnonymousStructuresTypedefsAndArrays() throws {
    var types = TypeBuilder()
    let int = types.integer("int", size: 4, signed: true)
    let char = types.integer("char", size: 1)
    let name = types.array(char, 12)
    let deep = types.structure("", size: 8, [("low", int, 0), ("high", int, 4)])
    let union = types.structure("", size: 8, kind: 5, [("", deep, 0), ("both", types.integer("u64", size: 8), 0)])
    let alias = types.typedef("alias_t", types.const(int))
    let outer = types.structure("outer", size: 40, [("first", alias, 0), ("", union, 8), ("name", name, 16), ("after", int, 32)])
    _ = types.structure("holder", size: 48, [("outer", outer, 8)])
    let table = try #require(TypeTable(TableBytes(types.bytes), names: ["outer", "high"]))
    #expect(table.count == Int(types.count) + 1)
    #expect(table.member("outer", "high")?.offset == 12)
    #expect(table.member("outer", "both")?.offset == 8)
    #expect(table.member("holder", "outer.after")?.offset == 40)
    #expect(table.member("holder", "outer.nothing") == nil)
    #expect(table.member("nothing", "first") == nil)
    let first = try #require(table.member("outer", "first"))
    #expect(table.size(first.type) == 4)
    #expect(table.isSigned(first.type))
    let text = try #require(table.member("outer", "name"))
    #expect(table.size(text.type) == 12)
    #expect(table.members(Int(outer)).map(\.name) == ["first", nil, "name", "after"])
  }

  @Test func bitFieldsHavePlaceAndSize() throws {
    var types = TypeBuilder()
    let word = types.integer("unsigned int", size: 4)
    _ = types.bitFields("flags", size: 8, [("plain", word, 0, 0), ("low", word, 32, 3), ("high", word, 35, 13)])
    let table = try #require(TypeTable(TableBytes(types.bytes), names: []))
    let high = try #require(table.member("flags", "high"))
    #expect((high.bitOffset, high.bits) == (35, 13))
    #expect(table.member("flags", "plain")?.bits == 0)
  }

  @Test func enumerationsHaveValues() throws {
    var types = TypeBuilder()
    let kind = types.enumeration("kind", [("NOTHING", -1), ("SOMETHING", 7)])
    let table = try #require(TypeTable(TableBytes(types.bytes), names: []))
    #expect(table.type(named: "kind") == Int(kind))
    #expect(table.enumerators(Int(kind)).map(\.value) == [-1, 7])
    #expect(table.enumerators(Int(kind)).map(\.name) == ["NOTHING", "SOMETHING"])
  }

  @Test func typesThatLeadToThemselvesEnd() throws {
    var types = TypeBuilder()
    _ = types.typedef("circle", 1)
    let loop = types.structure("loop", size: 8, [("", 2, 0)])
    _ = types.array(3, .max)
    let table = try #require(TypeTable(TableBytes(types.bytes), names: []))
    #expect(table.size(1) == nil)
    #expect(table.size(3) == nil)
    #expect(table.member("loop", "x") == nil)
    #expect(table.bare(Int(loop)) == Int(loop))
    #expect(table.text(of: 3).utf8.count < 400)
  }

  @Test(arguments: [[0x9f], [], [UInt8](repeating: 0xff, count: 64)]) func whatIsNoBTFIsNone(_ bytes: [UInt8]) {
    #expect(TypeTable(TableBytes(bytes), names: ["x"]) == nil)
  }

  @Test func fieldsOfUnwindEntriesHaveThreeForms() {
    let old = OrcForm.twoBits.entry(stackOffset: 16, frameOffset: 0xfff0, 0x015)
    #expect(old == OrcEntry(stackOffset: 16, frameOffset: -16, stack: .stack, frame: .previousStack, kind: .call))
    #expect(OrcForm.twoBits.entry(stackOffset: 0, frameOffset: 0, 0x400).kind == .end)
    #expect(OrcForm.twoBits.entry(stackOffset: 0, frameOffset: 0, 0).kind == .undefined)
    #expect(OrcForm.twoBits.entry(stackOffset: 0, frameOffset: 0, 0x105).kind == .registers)
    let middle = OrcForm.threeBits.entry(stackOffset: 16, frameOffset: 0xfff0, 0x215)
    #expect(middle == old)
    // As 7.3 writes the same.
    #expect(OrcForm.renumbered.entry(stackOffset: 16, frameOffset: 0xfff0, 0x283) == old)
    #expect(OrcForm.renumbered.entry(stackOffset: 8, frameOffset: 0, 0x20a).stack == .frameIndirect)
    #expect(OrcForm.threeBits.entry(stackOffset: 8, frameOffset: 0, 0x4ff).stack == .undefined)
  }

  @Test func namesAreFoundByNameAndByAddress() throws {
    let kernel = CrashedKernel(TinyKernel())
    let table = try #require(KallsymsTable(kernel.vmcoreinfo!, kernel.memory!, wanted: ["panic"]))
    #expect(table.address(of: "panic") == TinyKernel.base + 0x1000)
    #expect(table.address(of: "worker") == TinyKernel.base + 0x1e00)
    #expect(table.address(of: "nobody") == nil)
    let found = try #require(table.symbol(at: TinyKernel.base + 0x1e10))
    #expect(found == ("worker", TinyKernel.base + 0x1e00, 0x200))
    // Of two names at one address the first, as the kernel takes it.
    #expect(table.symbol(at: TinyKernel.base + 0x1000)?.name == "_stext")
    #expect(table.symbol(at: 0x1000) == nil)
    var all = 0
    table.forEach { _, _ in
      all += 1
      return true
    }
    #expect(all == table.count)
  }

  @Test func aTableThatContradictsVMCOREINFOIsNotBelieved() {
    let tiny = TinyKernel()
    tiny.put(0x6008, u64: TinyKernel.base + 0x1000)
    let kernel = CrashedKernel(tiny)
    #expect(KallsymsTable(kernel.vmcoreinfo!, kernel.memory!, wanted: []) == nil)
  }
}
