import DumpBasics
import TestSupport
import Testing

@testable import CoreEncoding

private func header(_ offset: UInt64) -> ELFProgramHeader {
  ELFProgramHeader(
    type: ELFProgramHeader.load, flags: 7, offset: offset, virtualAddress: 0xffff_8880_0000_0000 + offset,
    physicalAddress: offset, fileSize: 4096, memorySize: 4096)
}

@Test(arguments: [
  MachineIdentity(.x86_64, .little), MachineIdentity(.arm64, .little), MachineIdentity(.arm64, .big),
])
func programHeadersSurviveARoundTripInAnyByteOrder(identity: MachineIdentity) throws {
  let headers = (1...5).map { header(UInt64($0) << 20) }
  let bytes = try ELF64.encode(identity, headers)
  var findings: [DumpError] = []
  let decoded = try ELF64.decodeHeader(bytes, name: "t", &findings)
  #expect(findings.isEmpty)
  #expect(decoded.identity == identity)
  #expect(decoded.programHeaderCount == 5)
  let table = Array(bytes[Int(decoded.programHeaderOffset)...])
  #expect(try ELF64.decodeProgramHeaders(table, identity.byteOrder, name: "t") == headers)
}

@Test func programHeadersAreWrittenWithAlignmentZeroOrCrashTakesTheFileForANetdump() throws {
  let bytes = try ELF64.encode(MachineIdentity(.x86_64, .little), [header(4096)])
  #expect(ByteReader(bytes, .little).u64(64 + 48) == 0)
}

@Test func moreThan65534ProgramHeadersGoThroughSectionHeaderZero() throws {
  let count = 70_000
  let bytes = try ELF64.encode(MachineIdentity(.x86_64, .little), (1...count).map { header(UInt64($0) << 12) })
  #expect(bytes.count == ELF64.headersSize(programHeaders: count))
  var findings: [DumpError] = []
  let decoded = try ELF64.decodeHeader(bytes, name: "t", &findings)
  #expect(findings.isEmpty)
  #expect(decoded.programHeaderCount == ELF64.extendedCount)
  let section = Array(bytes[Int(decoded.sectionHeaderOffset)...])
  #expect(try ELF64.decodeExtendedCount(section, .little, name: "t") == UInt64(count))
}

@Test(arguments: [0, 3, 16, 63])
func aFileShorterThanAnELFHeaderIsRefusedInOneLine(count: Int) {
  var findings: [DumpError] = []
  #expect(throws: DumpError.self) { try ELF64.decodeHeader([UInt8](repeating: 0x7f, count: count), name: "t", &findings) }
}

@Test func notesSurviveARoundTrip() throws {
  let notes = [
    DumpNote(name: "CORE", type: 1, descriptor: noise(336, seed: 1)),
    DumpNote(name: "VMCOREINFO", type: 0, descriptor: Array("A=1\n".utf8)),
    DumpNote(name: "MCORE", type: 1, descriptor: noise(33, seed: 2)),
  ]
  let decoded = ELF64.decodeNotes(ELF64.encodeNotes(notes, .little), MachineIdentity(.x86_64, .little))
  #expect(decoded.notes == notes)
  #expect(decoded.damage == nil)
}

@Test func aNoteThatRunsPastItsEndIsNamedAndTheOnesBeforeItAreKept() throws {
  let good = DumpNote(name: "CORE", type: 1, descriptor: noise(64, seed: 1))
  var bytes = ELF64.encodeNotes([good, DumpNote(name: "X", type: 1, descriptor: noise(64, seed: 2))], .little)
  bytes.removeLast(40)
  let decoded = ELF64.decodeNotes(bytes, MachineIdentity(.x86_64, .little))
  #expect(decoded.notes == [good])
  #expect(decoded.damage != nil)
}

@Test func randomBytesAsNotesNeverTrap() {
  for seed in 0..<2000 as Range<UInt64> {
    var bytes = noise(200, seed: seed)
    // Small sizes now and then, so that some notes look sane.
    if seed % 2 == 0 { for index in [1, 2, 3, 5, 6, 7] { bytes[index] = 0 } }
    _ = ELF64.decodeNotes(bytes, MachineIdentity(.x86_64, .little))
  }
}
