import DumpBasics
import TestSupport
import Testing

@testable import CoreEncoding

private func sampleNote() -> MCoreNote {
  var note = MCoreNote()
  note.tool = "mcore test"
  note.level = "all"
  note.trailerOffset = 61_440 * 7
  note.holeOffset = 4096
  note.holeSize = 1 << 24
  note.zeroPages = 12
  note.keptPages = 99
  note.passEnds = [1, 2, 3, 4, 5, 6]
  note.crashTime = 1_763_866_267
  if let range = PhysicalRange(0x1000, 0x3000) { note.leftOut = AbsentRanges([AbsentRange(range, .level, pageClass: 3)]) }
  note.findings = ["one", "two"]
  return note
}

@Test func theNoteSurvivesARoundTrip() throws {
  let note = sampleNote()
  #expect(try MCoreNote(note.encoded(.x86_64, .fourKiB), at: "t") == note)
}

@Test func theNotesSizeDoesNotDependOnItsNumbers() {
  var other = sampleNote()
  other.trailerOffset = .max
  other.passEnds = other.passEnds.map { _ in .max }
  #expect(other.encoded(.x86_64, .fourKiB).count == sampleNote().encoded(.x86_64, .fourKiB).count)
}

@Test func recordsOfAnUnknownTypeAreSkippedAndAnotherMajorVersionIsRefused() throws {
  var envelope = try Envelope(sampleNote().encoded(.x86_64, .fourKiB), magic: MCoreNote.magic, at: "t")
  envelope.records.insert(.init(4711, noise(13, seed: 1)), at: 0)
  #expect(try MCoreNote(envelope.encoded(), at: "t") == sampleNote())
  var newer = envelope.encoded()
  newer[8] = 2
  #expect(throws: DumpError.self) { try MCoreNote(newer, at: "t") }
}

@Test func aFlippedBitInTheNoteIsFoundOrChangesNothing() throws {
  let bytes = sampleNote().encoded(.x86_64, .fourKiB)
  for bit in 0..<bytes.count * 8 {
    var damaged = bytes
    damaged[bit / 8] ^= 1 << (bit % 8)
    guard var decoded = try? MCoreNote(damaged, at: "t") else { continue }
    // Minor version, page size and machine are not covered by the checksum.
    if !(Envelope.headerSize * 8..<bytes.count * 8).contains(bit) { decoded = sampleNote() }
    #expect(decoded == sampleNote(), "bit \(bit)")
  }
}

@Test func theTrailerSurvivesARoundTrip() throws {
  var trailer = DumpTrailer()
  trailer.groupChecksums = [1, 2, 3]
  trailer.groupOffsets = [0, 100, 70_000]
  if let range = PhysicalRange(0x1000, 0x3000) { trailer.unreadable = [range] }
  #expect(try DumpTrailer(trailer.encoded(.arm64, .fourKiB), at: "t") == trailer)
}

@Test func theFooterHas64BytesAndNoFlippedBitPasses() {
  let footer = DumpFooter(trailerOffset: 61_440, fileSize: 70_000, trailerSize: 8496, compressedTrailerOffset: 1234)
  let bytes = footer.encoded()
  #expect(bytes.count == 64)
  #expect(DumpFooter(bytes) == footer)
  for bit in 0..<512 {
    var damaged = bytes
    damaged[bit / 8] ^= 1 << (bit % 8)
    #expect(DumpFooter(damaged) == nil, "bit \(bit)")
  }
}

@Test func jsonEscapesWhatATerminalWouldActOn() {
  let json = JSON.object([("a\"b", .string("x\u{1b}[31m\n\u{9b}")), ("n", .unsigned(.max))])
  #expect(
    json.text() == """
      {
        "a\\"b": "x\\u001b[31m\\n\\u009b",
        "n": 18446744073709551615
      }
      """)
}

@Test func stringsOfJSONAreSafeOnATerminal() {
  #expect(
    JSON.string("\u{1b}\u{85}\u{202e}\u{e4}\"").text() == "\"\\u001b\\u0085\\u202e\u{e4}\\\"\"")
}
