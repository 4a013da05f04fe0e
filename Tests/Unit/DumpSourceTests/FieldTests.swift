import DumpBasics
import DumpSource
import Foundation
import TestSupport
import Testing

private let page = noise(4096, seed: 9)

/// What people hand to a reader of dumps, and where they keep it.
@Suite struct FieldTests {
  @Test(arguments: [
    ("EMiL", "LiME"), ("PAGEDU64", "Windows"), ("LibvirtQemudSave", "virsh"), ("QEVM", "migration"), ("\u{7f}ELF", "ELF"),
    ("\u{1}\u{2}\u{3}", "not an ELF file"), ("BZh9", "bzip2"), ("PK\u{3}\u{4}", "zip"),
  ])
  func filesOfOtherKindsAreCalledByTheirName(start: String, name: String) throws {
    let scratch = try Scratch()
    let bytes = Array(start.utf8) + [UInt8](repeating: 1, count: 8192)
    try Data(bytes).write(to: URL(fileURLWithPath: scratch.file("x")))
    let error = #expect(throws: DumpError.self) { try openDump(scratch.file("x")) }
    #expect(error?.description.contains(name) == true, "\(String(describing: error))")
  }

  @Test func aHibernationImageIsKnownByItsSwapHeader() throws {
    let scratch = try Scratch()
    var bytes = [UInt8](repeating: 0, count: 8192)
    bytes.replaceSubrange(4086..<4096, with: Array("S1SUSPEND\0".utf8))
    try Data(bytes).write(to: URL(fileURLWithPath: scratch.file("x")))
    let error = #expect(throws: DumpError.self) { try openDump(scratch.file("x")) }
    #expect(error?.what.contains("hibernation") == true)
  }

  @Test(arguments: [
    (["vmcore", "vmcore-dmesg.txt"], "vmcore"), (["dmesg.202109022352", "vmcore.202109022352"], "vmcore.202109022352"),
    (["dmesg.202611271200", "dump.202611271200"], "dump.202611271200"),
    (["vmcore-incomplete"], "vmcore-incomplete"), (["vmcore.analysis.txt", "vmcore.elf.gz"], "vmcore.elf.gz"),
    (["dump.202611271200", "dump.202611281200"], "dump.202611281200"), (["vmcore.elf", "vmcore.elf.gz"], "vmcore.elf"),
  ])
  func theDumpInADirectoryOfAnyToolIsFound(names: [String], wanted: String) throws {
    let scratch = try Scratch()
    for name in names { try Data().write(to: URL(fileURLWithPath: scratch.file(name))) }
    #expect(try dumpFile(scratch.path) == scratch.file(wanted))
  }

  @Test func theManifestNamesTheDump() throws {
    let scratch = try Scratch()
    for name in ["vmcore.elf", "vmcore.elf.zst"] { try Data().write(to: URL(fileURLWithPath: scratch.file(name))) }
    try Data(#"{"files": {"vmcore.elf.zst": {}}}"#.utf8).write(to: URL(fileURLWithPath: scratch.file("dump.json")))
    #expect(try dumpFile(scratch.path) == scratch.file("vmcore.elf.zst"))
    try FileManager.default.removeItem(atPath: scratch.file("vmcore.elf.zst"))
    #expect(try dumpFile(scratch.path) == scratch.file("vmcore.elf"))
  }

  @Test func memoryThatOnlyAHeaderPromisesIsBoundedAndNamed() throws {
    let scratch = try Scratch()
    var core = SyntheticCore([.init(0x10_0000, page), .init(0x20_0000, page, memorySize: 1 << 40)])
    core.tamper = { _ in }
    try core.write(to: scratch.file("core"))
    let source = try openDump(scratch.file("core"))
    #expect(source.findings.contains { $0.what.contains("zeros that the file does not have") })
    let zeros = source.coverage().filter { $0.kind == .zeros }.reduce(0) { $0 + $1.range.count }
    #expect(zeros == 256 << 30)
  }

  @Test func aMappingOfDevicesIsNoFinding() throws {
    let scratch = try Scratch()
    var core = SyntheticCore([.init(0x10_0000, page), .init(0x20_0000, page), .init(0xfee0_0000, [], memorySize: 4096)])
    core.tamper = { $0[3].offset = .max }
    try core.write(to: scratch.file("core"))
    let source = try openDump(scratch.file("core"))
    #expect(source.findings == [])
    #expect(source.segments.count == 2)
  }

  @Test func theCoreOfAProcessIsRefused() throws {
    let scratch = try Scratch()
    var core = SyntheticCore([.init(0, virtual: 0x40_0000, page), .init(0, virtual: 0x7f00_0000_0000, page)])
    core.notes = [DumpNote(name: "CORE", type: 6, descriptor: [UInt8](repeating: 0, count: 64))]
    try core.write(to: scratch.file("core"))
    let error = #expect(throws: DumpError.self) { try openDump(scratch.file("core")) }
    #expect(error?.what.contains("core of a process") == true)
  }

  @Test func headersWithoutMemoryAreNoDump() throws {
    let scratch = try Scratch()
    let core = SyntheticCore([.init(0x10_0000, [], memorySize: 0x4000), .init(0x20_0000, [], memorySize: 0x4000)])
    try core.write(to: scratch.file("core"))
    let error = #expect(throws: DumpError.self) { try openDump(scratch.file("core")) }
    #expect(error?.what.contains("headers and no memory") == true)
  }

  @Test func whatAProgramCouldNotFinishSaysSo() throws {
    let scratch = try Scratch()
    var bytes = try SyntheticCore([.init(0x10_0000, page), .init(0x20_0000, page)]).bytes()
    bytes[0x30] |= 1
    try Data(bytes).write(to: URL(fileURLWithPath: scratch.file("core")))
    #expect(try openDump(scratch.file("core")).findings.contains { $0.what.contains("e_flags") })
  }

  @Test func notesAreFoundBehindDamage() throws {
    let scratch = try Scratch()
    let core = SyntheticCore([.init(0x10_0000, page), .init(0x20_0000, page)])
    var bytes = try core.bytes()
    // The first note's name would have 69 bytes.
    bytes[64 + 3 * 56] = 0x45
    try Data(bytes).write(to: URL(fileURLWithPath: scratch.file("core")))
    let source = try openDump(scratch.file("core"))
    #expect(source.notes.contains { $0.isVMCoreInfo })
    #expect(source.findings.contains { $0.what.contains("a note is damaged") })
  }
}
