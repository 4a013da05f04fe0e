import CoreEncoding
import DumpBasics
import DumpSource
import Foundation
import TestSupport
import Testing

private let page = [UInt8](repeating: 7, count: 4096)

/// Writes a core with tampered program headers and opens it.
private func opened(_ tamper: @escaping (inout [ELFProgramHeader]) -> Void) throws -> any DumpSource {
  let scratch = try Scratch()
  var core = SyntheticCore([.init(0x1000, page), .init(0x10_0000, page + page)])
  core.tamper = tamper
  try core.write(to: scratch.file("core"))
  return try openDump(scratch.file("core"))
}

@Test func anUntamperedCoreHasNoFinding() throws { #expect(try opened { _ in }.findings == []) }

@Test func sizesNear2To64CostTheirSegmentAndNameTheProgramHeader() throws {
  for tamper in [
    { $0[1].memorySize = .max } as (inout [ELFProgramHeader]) -> Void,
    { $0[1].fileSize = .max }, { $0[1].physicalAddress = .max - 1 }, { $0[1].offset = .max },
    { $0[1].memorySize = 1 << 60 },
  ] {
    let source = try opened(tamper)
    #expect(source.findings.contains { $0.description.contains("program header 1") && !$0.advice.isEmpty })
    // The other segment is all there.
    #expect(try source.bytes(at: PhysicalAddress(0x10_0000), count: 8192) == page + page)
  }
}

@Test func theSameMappingTwiceIsAFindingAndTheFirstOneWins() throws {
  let twice = try opened {
    $0[2].physicalAddress = 0x1000; $0[2].virtualAddress = $0[1].virtualAddress
  }
  #expect(twice.findings.contains { $0.what.contains("overlap") })
  #expect(twice.segments.map(\.physical.start) == [0x1000, 0x2000])
  let text = try opened {
    $0[2].physicalAddress = 0x1000; $0[2].virtualAddress = 0xffff_ffff_8100_0000
  }
  #expect(!text.findings.contains { $0.what.contains("overlap") })
}

/// e_phoff is at 0x20: an offset within the table leads to program headers too, and not to all of them.
@Test(arguments: [0x40 + 56, 0x40 + 2 * 56, 0x48, 0, 0x40 + 3 * 56])
func anOffsetOfProgramHeadersThatMissesSomeIsNotTaken(offset: Int) throws {
  let scratch = try Scratch()
  try SyntheticCore([.init(0x1000, page), .init(0x10_0000, page + page)]).write(to: scratch.file("core"))
  let file = try FileHandle(forUpdating: URL(fileURLWithPath: scratch.file("core")))
  try file.seek(toOffset: 0x20)
  try file.write(contentsOf: Data([UInt8(offset), 0]))
  try file.close()
  let source = try openDump(scratch.file("core"))
  #expect(source.findings.contains { $0.what.contains("e_phoff") && $0.place.contains("0x20") })
  #expect(try source.bytes(at: PhysicalAddress(0x1000), count: 4096) == page)
  #expect(try source.bytes(at: PhysicalAddress(0x10_0000), count: 8192) == page + page)
}

@Test func aFileThatIsNoDumpIsRefusedInOneLineThatNamesIt() throws {
  let scratch = try Scratch()
  for (name, bytes) in [
    ("empty", []), ("text", Array("hello, I am no dump at all, just some text that is long enough for a header".utf8)),
    ("noise", noise(100_000, seed: 1)), ("elf", [0x7f, 0x45, 0x4c, 0x46] + [UInt8](repeating: 0, count: 60)),
    ("gzip", [0x1f, 0x8b, 0x08, 0x00] + [UInt8](repeating: 0, count: 60)),
  ] as [(String, [UInt8])] {
    try Data(bytes).write(to: URL(fileURLWithPath: scratch.file(name)))
    do {
      _ = try openDump(scratch.file(name))
      Issue.record("\(name) was opened")
    } catch {
      #expect(error.description.contains(scratch.file(name)))
      #expect(!error.description.contains("\n"))
    }
  }
}

@Test func aHeaderThatPromisesMillionsOfProgramHeadersAllocatesNothing() throws {
  let scratch = try Scratch()
  // A sparse file that is really large: only the limit on the number keeps the table from being read.
  var core = try ELF64.encode(MachineIdentity(.x86_64, .little), [])
  core[56] = 0xff
  core[57] = 0xff
  core.replaceSubrange(40..<48, with: [64, 0, 0, 0, 0, 0, 0, 0])
  var section = [UInt8](repeating: 0, count: 64)
  section.replaceSubrange(44..<48, with: [0xff, 0xff, 0xff, 0xff])
  let path = scratch.file("core")
  try Data(core + section).write(to: URL(fileURLWithPath: path))
  #expect(truncate(path, 1 << 40) == 0)
  #expect(throws: DumpError.self) { try openDump(path) }
}

@Test func everyPrefixOfACoreIsOpenedOrRefusedWithoutATrap() throws {
  let scratch = try Scratch()
  let whole = try SyntheticCore([.init(0x1000, page), .init(0x10_0000, noise(9000, seed: 2))]).bytes()
  // The last segment ends within a page: what follows it is padding, which nobody misses.
  for count in stride(from: 0, to: whole.count - (3 * 4096 - 9000), by: 37) {
    let path = scratch.file("cut")
    try Data(whole[0..<count]).write(to: URL(fileURLWithPath: path))
    guard let source = try? openDump(path) else { continue }
    #expect(source.shortfall != nil)
    let promised = source.coverage().filter { $0.kind == .cut }.reduce(0) { $0 + $1.range.count }
    #expect(promised > 0)
  }
}

@Test func randomDamageInTheHeadersNeverTraps() throws {
  let scratch = try Scratch()
  let whole = try SyntheticCore([.init(0x1000, page), .init(0x10_0000, noise(9000, seed: 2))]).bytes()
  let headerBytes = 64 + 3 * 56 + 500
  for seed in 0..<500 as Range<UInt64> {
    var damaged = whole
    let random = noise(24, seed: seed)
    for index in 0..<8 where index <= Int(seed % 8) {
      damaged[(Int(random[3 * index]) << 8 | Int(random[3 * index + 1])) % headerBytes] = random[3 * index + 2]
    }
    let path = scratch.file("damaged")
    try Data(damaged).write(to: URL(fileURLWithPath: path))
    guard let source = try? openDump(path) else { continue }
    for piece in source.coverage().prefix(10) { _ = try? source.bytes(at: PhysicalAddress(piece.range.start), count: 16) }
  }
}

@Test func aSyntheticArm64CoreWithPagesOf64KiBParses() throws {
  let scratch = try Scratch()
  for order in [ByteOrder.little, .big] {
    var core = SyntheticCore([.init(0x4000_0000, virtual: 0xffff_0000_0000_0000, noise(3 * 65536, seed: 4))])
    core.identity = MachineIdentity(.arm64, order)
    core.notes = [
      DumpNote(name: "CORE", type: 1, descriptor: [UInt8](repeating: 0, count: 392)),
      DumpNote(name: "VMCOREINFO", type: 0, descriptor: Array("OSRELEASE=6.1.0-arm64\nPAGESIZE=65536\n".utf8)),
    ]
    let path = scratch.file("arm64")
    try core.write(to: path)
    let source = try openDump(path)
    #expect(source.identity == core.identity)
    #expect(source.notes.count == 2)
    #expect(try source.bytes(at: PhysicalAddress(0x4001_0000), count: 65536) == Array(core.segments[0].bytes[65536..<131072]))
  }
}
