import Capture
import CoreFormat
import DumpBasics
import DumpSource
import Foundation
import TestSupport
import Testing

/// Dumps of devices (NT_VMCOREDD), which are larger than all other notes together.
@Suite struct LargeNoteTests {
  /// As /proc/vmcore has them: five dumps of devices, of 15 MiB and less, before the kernel's own notes. All of them are in
  /// the dump, once, and what the kernel says of itself is read.
  @Test(arguments: OutputFormat.allCases)
  func manyNotesCostNoOther(format: OutputFormat) throws {
    let scratch = try Scratch()
    var core = SyntheticCore([.init(0x10_0000, noise(8192, seed: 1)), .init(0x20_0000, noise(4096, seed: 2))])
    let own = core.notes
    let contents = [15 << 20, (15 << 20) + 1, 65_537, 40_000, 15 << 20].enumerated().map { index, size in
      Array("device\(index)".utf8) + [UInt8](repeating: 0, count: 37) + noise(size, seed: UInt64(index + 7))
    }
    core.notes = contents.map { DumpNote(name: "LINUX", type: 0x700, descriptor: $0) } + own
    try core.write(to: scratch.file("core"))
    let source = try openDump(scratch.file("core"))
    #expect(source.largeNotes.count == 4 && source.notes.count == own.count + 1)
    #expect(source.notes.filter(\.isVMCoreInfo) == own.filter(\.isVMCoreInfo))

    var request = SaveRequest(source: scratch.file("core"), targets: [scratch.file("out")], level: .all)
    request.format = format
    _ = try save(request, QuietReporter())
    let bytes = try FileManager.default.attributesOfItem(atPath: scratch.file("out"))[.size] as? Int ?? 0
    #expect(bytes < 49 << 20, "not twice")
    // And to ELF again.
    var back = SaveRequest(source: scratch.file("out"), targets: [scratch.file("back")], level: .all)
    back.format = .elf
    _ = try save(back, QuietReporter())
    for name in ["out", "back"] {
      let saved = try openDump(scratch.file(name))
      let found = try saved.largeNotes.map { note in
        try [UInt8](unsafeUninitializedCapacity: Int(note.size)) { buffer, count in
          try saved.readLargeNote(note, at: 0, into: UnsafeMutableRawBufferPointer(buffer))
          count = Int(note.size)
        }
      }
      #expect(found == contents.filter { $0.count > 65_536 }, "\(name)")
      #expect(saved.notes.filter { $0.type == 0x700 }.map(\.descriptor) == contents.filter { $0.count <= 65_536 })
      #expect(saved.notes.filter(\.isVMCoreInfo) == own.filter(\.isVMCoreInfo))
      #expect(try verify(scratch.file(name), threads: 1, QuietReporter()).verdict != .corrupt)
      let told = try info(scratch.file(name), json: false)
      for index in contents.indices { #expect(told.contains("device\(index)"), "\(told)") }
    }
  }

  @Test(arguments: [OutputFormat.elf, .elfGzip])
  func aLargeNoteGoesThroughAndCostsNoOther(format: OutputFormat) throws {
    let scratch = try Scratch()
    let content = Array("cxgb4_0000:01:00.4".utf8) + [UInt8](repeating: 0, count: 26) + noise(24 << 20, seed: 4)
    var core = SyntheticCore([.init(0x10_0000, noise(8192, seed: 1)), .init(0x20_0000, noise(4096, seed: 2))])
    core.notes.insert(DumpNote(name: "LINUX", type: 0x700, descriptor: content), at: 0)
    try core.write(to: scratch.file("core"))
    let source = try openDump(scratch.file("core"))
    #expect(source.largeNotes.map(\.size) == [UInt64(content.count)])
    #expect(source.notes.count == 2)

    var request = SaveRequest(source: scratch.file("core"), targets: [scratch.file("out")], level: .all)
    request.format = format
    _ = try save(request, QuietReporter())
    let saved = try openDump(scratch.file("out"))
    let note = try #require(saved.largeNotes.first)
    let found = try [UInt8](unsafeUninitializedCapacity: content.count) { buffer, count in
      try saved.readLargeNote(note, at: 0, into: UnsafeMutableRawBufferPointer(buffer))
      count = content.count
    }
    #expect(found == content)
    #expect(saved.notes.filter(\.isVMCoreInfo).count == 1)
    #expect(try info(scratch.file("out"), json: false).contains("cxgb4_0000:01:00.4"))
    #expect(try saved.bytes(at: PhysicalAddress(0x10_0000), count: 8192) == core.segments[0].bytes)
  }

  /// Zeros of a raw disk, a newline of a transfer: told, and no fault of the dump.
  @Test(
    arguments: OutputFormat.allCases.filter { !$0.isPaged },
    [[UInt8](repeating: 0, count: 5000), Array("\n".utf8), Array("some text that somebody left here".utf8)])
  func whatStandsBehindADumpIsNoPartOfIt(format: OutputFormat, behind: [UInt8]) throws {
    let scratch = try Scratch()
    try SyntheticCore([.init(0x10_0000, noise(8192, seed: 1)), .init(0x20_0000, noise(4096, seed: 2))]).write(
      to: scratch.file("core"))
    var request = SaveRequest(source: scratch.file("core"), targets: [scratch.file("out")], level: .all)
    request.format = format
    _ = try save(request, QuietReporter())
    let before = try openDump(scratch.file("out"))
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: scratch.file("out")))
    try file.seekToEnd()
    try file.write(contentsOf: Data(behind))
    try file.close()
    let after = try openDump(scratch.file("out"))
    #expect(after.metadata?.trailer == before.metadata?.trailer)
    #expect(after.metadata?.trailer != nil)
    #expect(after.bytesBehind == UInt64(behind.count) && before.bytesBehind == 0)
    #expect(after.findings.isEmpty, "\(after.findings)")
    let check = try verify(scratch.file("out"), threads: 1, QuietReporter())
    #expect(check.verdict == .whole && check.lines.contains { $0.hasPrefix("\(behind.count) bytes behind") })
    #expect(try info(scratch.file("out"), json: true).contains("\"bytes_behind\": \(behind.count)"))
    #expect(
      try after.bytes(at: PhysicalAddress(0x10_0000), count: 8192) == before.bytes(at: PhysicalAddress(0x10_0000), count: 8192))
  }
}

/// The second head, and what repairs by it.
@Suite struct RepairTests {
  /// In plain ELF a flipped bit of memory shows by the trailer alone: what is made of it is not sound, and says so.
  @Test(arguments: OutputFormat.allCases) func damageOfAPlainDumpIsNotLost(format: OutputFormat) throws {
    let scratch = try Scratch()
    try SyntheticCore([.init(0x10_0000, noise(300 * 4096, seed: 1)), .init(0x80_0000, noise(4096, seed: 2))]).write(
      to: scratch.file("core"))
    var request = SaveRequest(source: scratch.file("core"), targets: [scratch.file("plain")], level: .all)
    request.format = .elf
    _ = try save(request, QuietReporter())
    let sound = try convert(scratch.file("plain"), to: scratch.file("sound"), format: format, threads: 1, QuietReporter())
    #expect(sound.findings.isEmpty)
    var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: scratch.file("plain"))))
    bytes[200 * 4096] ^= 4
    try Data(bytes).write(to: URL(fileURLWithPath: scratch.file("damaged")))
    _ = try convert(scratch.file("damaged"), to: scratch.file("out"), format: format, threads: 1, QuietReporter())
    let told = try info(scratch.file("out"), json: false)
    #expect(told.contains("with findings") && told.contains("is damaged: group 0, offset 0x0"), "\(told)")
  }

  @Test(arguments: OutputFormat.allCases.filter { !$0.isPaged })
  func aDumpWithADamagedStartIsRepaired(format: OutputFormat) throws {
    let scratch = try Scratch()
    let core = SyntheticCore([.init(0x10_0000, noise(300 * 4096, seed: 1)), .init(0x80_0000, noise(4096, seed: 2))])
    try core.write(to: scratch.file("core"))
    var request = SaveRequest(source: scratch.file("core"), targets: [scratch.file("out")], level: .all)
    request.format = format
    _ = try save(request, QuietReporter())
    var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: scratch.file("out"))))
    // One word of the first program header, or one byte of the first block.
    bytes[130] ^= 4
    try Data(bytes).write(to: URL(fileURLWithPath: scratch.file("damaged")))
    let damaged = try openDump(scratch.file("damaged"))
    #expect(damaged.findings.contains { $0.what.contains("start of the file is damaged") })
    #expect(damaged.notes == (try openDump(scratch.file("out"))).notes)
    #expect(try verify(scratch.file("damaged"), threads: 1, QuietReporter()).verdict == .corrupt)

    _ = try repair(scratch.file("damaged"), to: scratch.file("sound"), threads: 1, QuietReporter())
    let sound = try openDump(scratch.file("sound"))
    #expect(sound.shortfall == nil && sound.metadata?.trailer != nil)
    #expect(try verify(scratch.file("sound"), threads: 1, QuietReporter()).verdict != .corrupt)
    #expect(try sound.bytes(at: PhysicalAddress(0x80_0000), count: 4096) == core.segments[1].bytes)
    // A later block, which was whole.
    let later = 0x10_0000 + 280 * 4096
    #expect(
      try sound.bytes(at: PhysicalAddress(UInt64(later)), count: 4096) == Array(core.segments[0].bytes[280 * 4096..<281 * 4096]))
  }
}
