import DumpBasics
import Foundation
import Testing

@testable import DumpTarget
@testable import LinuxSystem

/// Protects: a raw disk is never written over when it holds something, and says of its dump what is true.
@Suite(.serialized) struct RawTests {
  private let scratch: Scratch
  private let disk: String
  private let content = [UInt8](repeating: 7, count: 10_000)

  init() throws {
    scratch = try Scratch()
    disk = scratch.file("disk")
    #expect(FileManager.default.createFile(atPath: disk, contents: nil))
    #expect(truncate(disk, 4 << 20) == 0)
  }

  private func open(force: Bool = false) throws -> RawDestination {
    try RawDestination(disk, dumpName: "2026-a_1", force: force)
  }

  private func header() throws -> RawHeader? { try RawDisk(disk, forWriting: false).header() }

  private func change(at offset: UInt64, _ bytes: [UInt8]) throws { try File(disk, .readWrite).write(bytes, at: offset) }

  @Test func aDumpIsWhatItsHeaderSays() throws {
    let destination = try open()
    let sink = try destination.openDump(fileName: "vmcore.elf")
    try sink.write(content)
    try sink.skip(70_000)
    try sink.write(content)
    try sink.finish()
    #expect(try header()?.state == .writing)
    _ = try destination.complete()
    let header = try #require(try header())
    #expect(header.state == .whole && header.length == 90_000 && header.name == "2026-a_1" && header.fileName == "vmcore.elf")
    let expected = content + [UInt8](repeating: 0, count: 70_000) + content
    #expect(try RawDisk(disk, forWriting: false).bytes(at: 0, count: 90_000) == expected)
    // What a person sees with head, and checks with crc32: docs/targets.md.
    let start = String(decoding: try File(disk, .read).bytes(at: 0, count: 40), as: UTF8.self)
    #expect(start == "MCORE-RAW-DUMP 1\nstate=whole\nlength=0000")
    #expect(try File(disk, .read).bytes(at: 1 << 20, count: 10_000) == content)
  }

  @Test func aDumpThatIsNotSavedIsNeverOverwritten() throws {
    for state in RawHeader.State.allCases {
      let raw = try RawDisk(disk, forWriting: true)
      var header = RawHeader(state: state, time: 1, name: "x", fileName: "vmcore.elf")
      header.length = 5
      try raw.write(header)
      if state == .saved {
        _ = try open()
      } else {
        #expect { try open() } throws: { ("\($0)").contains("not saved yet") }
        _ = try open(force: true)
      }
    }
  }

  @Test(arguments: [0, 510, 1080, 4096, 0x10040, 0xf_ffff, 0x30_0000, 0x3f_fe00, 0x3f_ffff] as [UInt64])
  func marksOfOthersAreFoundWhereverTheyStand(offset: UInt64) throws {
    for isSaved in [false, true] {
      #expect(truncate(disk, 0) == 0 && truncate(disk, 4 << 20) == 0)
      if isSaved {
        try RawDisk(disk, forWriting: true).write(RawHeader(state: .saved, time: 1, name: "x", fileName: "vmcore.elf"))
      }
      try change(at: offset, [0x55])
      let before = try scratch.bytes("disk")
      #expect { try open() } throws: { ("\($0)").contains("nothing is overwritten") && ($0 as? DumpError)?.kind == .usage }
      #expect(try scratch.bytes("disk") == before)
    }
  }

  @Test func theEndOfTheDiskCutsTheDump() throws {
    let destination = try open()
    #expect(destination.room == 2 << 20)
    let sink = try destination.openDump(fileName: "vmcore.elf")
    var written: UInt64 = 0
    #expect {
      while true {
        try sink.write(content)
        written += 10_000
      }
    } throws: { ($0 as? DumpError)?.kind == .full }
    #expect(written == 2_090_000)
    try sink.cut(to: 1_000_000)
    _ = destination.abandon(note: "")
    let header = try #require(try header())
    #expect(header.state == .cut && header.length == 1_000_000)
    // The checksum is that of what stays.
    let other = RawHeaderChecksum.of([UInt8](repeating: 7, count: 1_000_000))
    #expect(header.checksum == other)
    // The end of the disk stays as it was.
    #expect(try File(disk, .read).bytes(at: 3 << 20, count: 1 << 20).allSatisfy { $0 == 0 })
  }

  @Test func nothingWrittenIsNothingToBeSaved() throws {
    let destination = try open()
    _ = try destination.openDump(fileName: "vmcore.elf")
    _ = destination.abandon(note: "")
    #expect(try header()?.state == .saved)
    _ = try open()
  }

  @Test func whatPowerCutShortIsKnownToTheLastNote() throws {
    let destination = try open()
    let sink = try destination.openDump(fileName: "vmcore.elf")
    for _ in 0..<150 { try sink.write(content) }
    let header = try #require(try header())
    #expect(header.state == .writing && header.length >= 1 << 20 && header.length <= 1_500_000)
    withExtendedLifetime(destination) {}
  }

  /// Every byte of a header that is damaged, and every value that a header may claim.
  @Test func aDamagedHeaderIsNoDumpAndNothingToBeOverwritten() throws {
    var header = RawHeader(state: .whole, time: 1, name: "x", fileName: "vmcore.elf")
    header.length = 5
    let good = header.encoded()
    #expect(try RawHeader(good, at: "") == header)
    for offset in good.indices {
      var bad = good
      bad[offset] ^= 0x20
      #expect((try? RawHeader(bad, at: "")) == nil || bad[offset] == good[offset], "\(offset)")
    }
    for offset in stride(from: 0, to: 4096, by: 7) { #expect((try? RawHeader(Array(good[..<offset]), at: "")) == nil) }
    try change(at: 0, Array(good[..<100]) + [0x21] + Array(good[101...]))
    #expect { try open() } throws: { ("\($0)").contains("nothing is overwritten") }
    header.length = .max
    #expect(try RawDisk(disk, forWriting: false).length(of: header) == 2 << 20)
    for name in ["../x", "", ".x", "a/b", "a\nb", String(repeating: "x", count: 201)] {
      #expect(!RawHeader.isPlain(name))
    }
  }

  @Test func aDiskThatFailsKeepsTheDumpSoFar() throws {
    let destination = try open()
    let sink = try destination.openDump(fileName: "vmcore.elf")
    try sink.write(content)
    Faults.set([.init(call: .write, after: 0, errno: EIO)])
    defer { Faults.set([]) }
    #expect { try sink.write(content) } throws: { ($0 as? DumpError)?.kind == .system(EIO) }
    try sink.cut(to: 10_000)
    _ = destination.abandon(note: "")
    #expect(try header()?.state == .cut && header()?.length == 10_000)
  }

  @Test func aSmallDiskIsRefused() throws {
    #expect(truncate(disk, 2 << 20) == 0)
    #expect { try open() } throws: { ("\($0)").contains("too small") }
  }
}

/// CRC-32 bit by bit, as RFC 1952 has it.
private enum RawHeaderChecksum {
  static func of(_ bytes: [UInt8]) -> UInt32 {
    var crc: UInt32 = ~0
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }
    return ~crc
  }
}
