import Foundation
import Testing

@testable import DumpBasics
@testable import DumpTarget

/// Protects: the last resort writes over nothing but zeros and its own, and what it gives back is what was
/// written.
struct LastResortTests {
  private let scratch: Scratch
  private let path: String

  init() throws {
    scratch = try Scratch()
    path = scratch.file("disk")
  }

  private func make(_ size: Int, _ change: (inout Data) -> Void = { _ in }) throws {
    var data = Data(count: size)
    change(&data)
    try data.write(to: URL(fileURLWithPath: path))
  }

  private func write(_ text: String) throws { try LastResort(path, forWriting: true).write(Array(text.utf8)) }
  private func contents() throws -> [LastResort.Content] { try LastResort(path, forWriting: false).contents() }
  private func text(_ text: String) -> LastResort.Content { .text(Array(text.utf8)) }

  @Test func theFirstSevenStayAndTheEighthIsTheNewest() throws {
    try make(4 << 20)
    for number in 1...10 { try write("crash \(number)\n") }
    #expect(try contents() == (1...7).map { text("crash \($0)\n") } + [text("crash 10\n")])
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    // What a person finds with dd: docs/last-resort.md.
    #expect(bytes.prefix(35).elementsEqual("MCORE-LAST-RESORT 1 length=00000008".utf8))
    #expect(bytes[63] == 0x0a && bytes[64..<72].elementsEqual("crash 1\n".utf8))
    #expect(bytes.dropFirst(8 * 256 << 10).allSatisfy { $0 == 0 })
  }

  @Test func aSmallDiskHasFewerSlots() throws {
    try make(10_000)
    try write("one")
    try write("two")
    #expect(try contents() == [text("two")])
    try make(600 << 10)
    try write("one")
    #expect(try contents() == [text("one"), .nothing])
    try make(4095)
    #expect(throws: DumpError.self) { try write("none") }
  }

  @Test func whatIsTooLongIsCut() throws {
    try make(8192)
    try write(String(repeating: "x", count: 10_000))
    #expect(try contents() == [text(String(repeating: "x", count: 8192 - 64))])
  }

  /// A file system's superblock (ext4: offset 1080), a partition table, something in the middle, a spare GPT
  /// at the end.
  @Test(arguments: [0, 510, 1080, 300 << 10, 2 << 20, (8 << 20) - 512, (8 << 20) - 1]) func somebodyElsesDiskIsLeftAlone(
    at offset: Int
  ) throws {
    try make(8 << 20) { $0[offset] = 0x55 }
    let before = try Data(contentsOf: URL(fileURLWithPath: path))
    // Between the slots and the last MiB nobody looks: nothing is written there.
    if offset == 2 << 20 {
      try write("text")
      #expect(try Data(contentsOf: URL(fileURLWithPath: path))[offset] == 0x55)
    } else {
      #expect { try write("text") } throws: { "\($0)".contains(String(offset, radix: 16)) }
      #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
    }
  }

  @Test func aForeignByteBehindOurTextIsNoticed() throws {
    try make(4 << 20)
    try write("text")
    var data = try Data(contentsOf: URL(fileURLWithPath: path))
    data[256 << 10] = 1
    try data.write(to: URL(fileURLWithPath: path))
    #expect(throws: DumpError.self) { try write("more") }
    #expect(throws: DumpError.self) { try LastResort(path, forWriting: true).clear() }
    #expect(try contents().first == text("text"))
  }

  @Test func everyFlippedByteOfASlotIsNoticed() throws {
    try make(4096)
    try write("some text of a crash")
    let good = try Data(contentsOf: URL(fileURLWithPath: path))
    for index in 0..<64 + 20 {
      var bad = good
      bad[index] ^= 0x21
      try bad.write(to: URL(fileURLWithPath: path))
      let content = try contents().first
      #expect(content == .damaged || index < 20 && content == .foreign(0), "byte \(index)")
    }
  }

  @Test func clearingMakesRoom() throws {
    try make(4 << 20)
    for number in 1...8 { try write("crash \(number)\n") }
    try LastResort(path, forWriting: true).clear()
    #expect(try contents() == [LastResort.Content](repeating: .nothing, count: 8))
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data(count: 4 << 20))
  }

  @Test func onlyDisksAreNamed() {
    #expect(LastResort.isDevice("/dev/vdb2") && LastResort.isDevice("PARTUUID=12"))
    #expect(!LastResort.isDevice("/var/crash") && !LastResort.isDevice("memory:"))
  }
}
