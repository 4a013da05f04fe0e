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

  /// Nameless members of 20 levels, each with 30 of the next: 30^20 ways to nothing.
  @Test(.timeLimit(.minutes(1))) func namelessMembersInsideOneAnotherDoNotMultiply() throws {
    var types = TypeBuilder()
    let int = types.integer("int", size: 4)
    for level in 0..<20 {
      let inner = level == 0 ? int : types.count
      _ = types.structure(
        "level\(level)", size: 8, (0..<30).map { _ in ("", inner, 0) } + (level == 0 ? [("deepest", int, 4)] : []))
    }
    let table = try #require(TypeTable(TableBytes(types.bytes), names: []))
    #expect(table.member("level19", "nothing") == nil)
    #expect(table.member("level19", "deepest")?.offset == 4)
  }

  @Test func aLookForAMemberAsksWhetherTheTimeIsUp() throws {
    var types = TypeBuilder()
    let int = types.integer("int", size: 4)
    _ = types.structure("wide", size: 8, (0..<9000).map { ("m\($0)", int, 0) })
    var isLate = false
    let table = try #require(TypeTable(TableBytes(types.bytes), names: ["wide", "m8999"]) { isLate })
    #expect(table.member("wide", "m8999") != nil)
    isLate = true
    #expect(table.member("wide", "m8999") == nil)
  }

  /// A module's types go on where the kernel's end: numbers, and places of names.
  @Test func typesOfAModuleGoOnFromTheKernels() throws {
    var kernel = TypeBuilder()
    let int = kernel.integer("int", size: 4)
    let pair = kernel.structure("pair", size: 8, [("first", int, 0), ("second", int, 4)])
    let base = try #require(TypeTable(TableBytes(kernel.bytes), names: ["pair"]))
    var module = TypeBuilder(after: kernel)
    let own = module.structure("own", size: 16, [("number", int, 0), ("pair", pair, 8)])
    let table = try #require(TypeTable(TableBytes(module.bytes), names: [], base: base))
    #expect(table.type(named: "own") == Int(own))
    #expect(table.type(named: "pair") == Int(pair))
    #expect(table.member("own", "pair.second")?.offset == 12)
    #expect(table.members(Int(own)).map(\.name) == ["number", "pair"])
    #expect(table.text(of: Int(pair)) == "struct pair")
    #expect(base.type(named: "own") == nil)
  }

  @Test func typesThatEndTooEarlyAreNotWhole() throws {
    var types = TypeBuilder()
    _ = types.integer("int", size: 4)
    let second = types.structure("last", size: 8, [])
    var bytes = types.bytes
    #expect(try #require(TypeTable(TableBytes(bytes), names: [])).isWhole)
    // Its kind.
    bytes[24 + 16 + 7] = 0x1f
    let table = try #require(TypeTable(TableBytes(bytes), names: []))
    #expect(!table.isWhole)
    #expect(table.count == Int(second))
  }

  // MARK: names

  /// 1000 names `f0`, `f1`, …: every token is one letter.
  private static func names() -> (names: [UInt8], blocks: [Int], offsets: [UInt8]) {
    var names: [UInt8] = []
    var blocks: [Int] = []
    var offsets: [UInt8] = []
    for index in 0..<1000 {
      if index % 256 == 0 { blocks.append(names.count) }
      let text = Array("Tf\(index)".utf8)
      names += [UInt8(text.count)] + text
      offsets += [UInt8(index & 255), UInt8(index >> 8), 0, 0]
    }
    return (names, blocks + [names.count], offsets)
  }

  private static func table(_ names: [UInt8], _ blocks: [Int], _ offsets: [UInt8]) -> KallsymsTable? {
    let letters = (0..<256).map { UInt8($0) }
    return KallsymsTable(
      count: 1000, names: TableBytes(names), offsets: TableBytes(offsets), at: 0, base: TinyKernel.base, text: letters,
      bounds: (0..<256).map { $0..<$0 + 1 }, blocks: blocks, wanted: ["f300", "f700"],
      probes: [("f999", TinyKernel.base + 999), ("f1", TinyKernel.base + 1)])
  }

  @Test func damageToOneNameCostsThoseBetweenTwoMarksOfTheKernel() throws {
    var (names, blocks, offsets) = TableTests.names()
    let sound = try #require(TableTests.table(names, blocks, offsets))
    #expect(sound.lostNames == 0)
    #expect(sound.address(of: "f300") == TinyKernel.base + 300)
    // The length of the second name of the second block.
    names[blocks[1] + 6] = 0x7f
    let table = try #require(TableTests.table(names, blocks, offsets))
    #expect(table.lostNames == 256)
    #expect(table.address(of: "f300") == nil)
    #expect(table.address(of: "f700") == TinyKernel.base + 700)
    #expect(table.address(of: "f512") == TinyKernel.base + 512)
    #expect(table.address(of: "f255") == TinyKernel.base + 255)
    #expect(table.symbol(at: TinyKernel.base + 300)?.name == nil)
    #expect(table.symbol(at: TinyKernel.base + 600)?.name == "f600")
    // A wrong mark costs the names on its two sides.
    names = TableTests.names().names
    blocks[2] += 1
    let marked = try #require(TableTests.table(names, blocks, offsets))
    #expect(marked.lostNames == 512)
    #expect(marked.address(of: "f900") == TinyKernel.base + 900)
    offsets = []
    #expect(TableTests.table(names, blocks, offsets) == nil)
  }

  @Test func aKernelWhoseNamesAreThoseOfFunctionsIsKnownByAFunction() throws {
    let tiny = TinyKernel(symbols: ["_stext"])
    // `init_uts_ns` is not among the names.
    let bytes = Array("init_uts_ns".utf8)
    let place = try #require((0x6100..<0x6400).first { tiny.image[$0...].starts(with: bytes) })
    tiny.image[place] = UInt8(ascii: "X")
    let kernel = CrashedKernel(tiny)
    let table = try #require(KallsymsTable(kernel.vmcoreinfo!, kernel.memory!, wanted: []))
    #expect(table.address(of: "panic") == TinyKernel.base + 0x1000)
    let without = CrashedKernel(TinyKernel())
    #expect(KallsymsTable(without.vmcoreinfo!, without.memory!, wanted: []) != nil)
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
