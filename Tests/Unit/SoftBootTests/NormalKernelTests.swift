import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import LinuxSystem
@testable import SoftBoot

/// The memory map of a QEMU guest of 2 GiB (q35, SeaBIOS), as /sys/firmware/memmap has it, and one window of
/// its administrator.
let recordedMap = """
  0x0-0x9fbff System RAM
  0x9fc00-0x9ffff Reserved
  0xf0000-0xfffff Reserved
  0x100000-0x7ffdbfff System RAM
  0x7ffdc000-0x7fffffff Reserved
  0xb0000000-0xbfffffff Reserved
  0xc0000000-0xc0000fff ACPI Tables
  0xc0001000-0xc0001fff ACPI Non-volatile Storage
  0xc0002000-0xc0002fff Persistent Memory
  0xd0000000-0xd01fffff Persistent Memory (legacy)
  0x100000000-0x13fffffff System RAM
  """

/// What the kernel makes of memmap= words (parse_memmap_one in arch/x86/kernel/e820.c): type of each range.
func applied(_ commandLine: String) throws -> [(range: PhysicalRange, kind: Character)] {
  func number(_ text: Substring) throws -> UInt64 {
    let units: [Character: UInt64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]
    let unit = text.last.flatMap { units[$0] } ?? 1
    let digits = unit == 1 ? text : text.dropLast()
    let value = digits.hasPrefix("0x") ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
    return unit * (try #require(value))
  }
  var map: [(PhysicalRange, Character)] = []
  for word in commandLine.split(separator: " ") where word.hasPrefix("memmap=") {
    for part in word.dropFirst(7).split(separator: ",") {
      if part == "exactmap" {
        map = []
        continue
      }
      let kind = try #require(part.firstIndex { "@#!$".contains($0) })
      let range = try PhysicalRange(start: number(part[part.index(after: kind)...]), count: number(part[..<kind]))
      map.append((try #require(range), part[kind]))
    }
  }
  return map
}

@Suite struct MemoryMapTests {
  private let map: MemoryMap
  init() throws { map = try MemoryMap(record: recordedMap, at: "test") }

  private func of(_ words: [(range: PhysicalRange, kind: Character)], _ kind: Character) -> [PhysicalRange] {
    words.filter { $0.kind == kind }.map(\.range)
  }

  @Test func theWholeMapIsGivenOnAndTheRegionSetAside() throws {
    let region = try RegionExtents(word: "0x400000@0x20000000,0x200000@0x120000000")
    let words = try applied("memmap=64M!4G " + map.commandLine(region.ranges, limit: 2046))
    #expect(
      of(words, "@") == [
        span(0, 0x9fc00), span(0x10_0000, 0x1ff0_0000), span(0x2040_0000, 0x5fbd_c000), span(0x1_0000_0000, 0x2000_0000),
        span(0x1_2020_0000, 0x1fe0_0000),
      ])
    #expect(of(words, "#") == [span(0xc000_0000, 4096), span(0xc000_1000, 4096)])
    #expect(of(words, "!") == [span(0xd000_0000, 0x20_0000)] + region.ranges)
    #expect(
      of(words, "$") == [
        span(0x9fc00, 0x400), span(0xf0000, 0x10000), span(0x7ffd_c000, 0x24000), span(0xb000_0000, 0x1000_0000),
      ])
    // All RAM is either the next kernel's or the region.
    #expect(RangeSet.joined(of(words, "@") + region.ranges) == map.usable)
  }

  @Test func reservedRangesGoWhereThereIsNoRoomAndNothingElseDoes() throws {
    let all = try map.commandLine([], limit: 2046)
    let fewer = try map.commandLine([], limit: all.utf8.count - 1)
    let (few, full) = (try applied(fewer), try applied(all))
    #expect(of(few, "$").isEmpty && of(few, "@") == of(full, "@") && of(few, "#").count == 2)
    for limit in [fewer.utf8.count - 1, 0, -5] {
      #expect { try map.commandLine([], limit: limit) } throws: { ($0 as? DumpError)?.kind == .full }
    }
  }

  @Test func aRegionOutsideOfTheMapIsRefused() {
    for region in [span(0x7fe0_0000, 0x20_0000), span(0x2_0000_0000, 0x20_0000), span(0xd000_0000, 0x20_0000)] {
      #expect(throws: DumpError.self) { try map.commandLine([region], limit: 2046) }
    }
  }

  @Test func damagedMapsAreRefused() {
    for text in [
      "", "nonsense", "0x0-0xfff", "0x0-0xfff Reserved", "0-fff System RAM", "0x1000-0xfff System RAM",
      "0x0-0xffffffffffffffff System RAM", "0x0-0xfff-0x1 System RAM",
      (0...1024).map { "\(hex(UInt64($0) << 20))-\(hex(UInt64($0) << 20 + 4095)) System RAM" }.joined(separator: "\n"),
    ] { #expect(throws: DumpError.self, "\(text.prefix(40))") { try MemoryMap(record: text, at: "test") } }
  }

  @Test func theGeometryIsThatOfTheRAM() throws {
    let split = recordedMap.replacingOccurrences(
      of: "0x100000-0x7ffdbfff System RAM", with: "0x4000000-0x7ffdbfff System RAM\n0x100000-0x3ffffff System RAM")
    #expect(try MemoryMap(record: split, at: "test").geometry == map.geometry && map.geometry != 0)
    let other = recordedMap.replacingOccurrences(of: "0x7ffdbfff System", with: "0x7ffdafff System")
    #expect(try MemoryMap(record: other, at: "test").geometry != map.geometry)
    #expect(map.unusable.first == span(0x9fc00, 0x60400) && map.unusable.last?.end == .max)
  }
}

@Suite(.serialized) struct NormalKernelTests {
  private let scratch: Scratch
  private let directory: String

  init() throws {
    scratch = try Scratch()
    directory = scratch.file("normal")
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    for (name, text) in [
      ("memory-map", recordedMap), ("cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/vda1 memmap=2M!0x30000000 quiet\n"),
      ("boot-id", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n"), ("nonce", "00112233445566778899aabbccddeeff\n"),
      ("vmlinuz", "kernel"), ("initrd", "initrd"),
    ] { try text.write(toFile: "\(directory)/\(name)", atomically: true, encoding: .utf8) }
  }

  @Test func theCommandLineIsItsOwnWithTheMapBeforeAndTheRegionBehind() throws {
    let kernel = try NormalKernel(directory)
    let region = try RegionExtents(word: "0x400000@0x20000000")
    let line = try kernel.commandLine(region)
    #expect(line.hasPrefix("memmap=exactmap memmap="))
    #expect(
      line.hasSuffix(
        " BOOT_IMAGE=/vmlinuz root=/dev/vda1 memmap=2M!0x30000000 quiet mcore.region=0x400000@0x20000000 "
          + "mcore.nonce=00112233-4455-6677-8899-aabbccddeeff"))
    #expect(kernel.identity.bootID.description == "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
    #expect(kernel.identity.geometry == kernel.map.geometry)
    // The next time, what this time added is gone.
    #expect(NormalKernel.lastingWords(line + "\n") == ["BOOT_IMAGE=/vmlinuz", "root=/dev/vda1", "quiet"])
  }

  /// This machine runs on no CPU with that number.
  @Test func theBootCPUStaysOffWhereAnotherOneRuns() throws {
    try "4294967295\n".write(toFile: "\(directory)/boot-cpu", atomically: true, encoding: .utf8)
    let region = try RegionExtents(word: "0x400000@0x20000000")
    let line = try NormalKernel(directory).commandLine(region)
    #expect(line.contains(" disable_cpu_apicid=4294967295 "))
    #expect(NormalKernel.lastingWords(line) == ["BOOT_IMAGE=/vmlinuz", "root=/dev/vda1", "quiet"])
    let info = try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
    let own = try #require(firstAPICID(cpuinfo: info))
    try "\(own)\n".write(toFile: "\(directory)/boot-cpu", atomically: true, encoding: .utf8)
    #expect(try !NormalKernel(directory).commandLine(region).contains("disable_cpu_apicid"))
    #expect(firstAPICID(cpuinfo: "processor\t: 0\napicid\t\t: 4\n") == 4 && firstAPICID(cpuinfo: "apicid") == nil)
  }

  /// What a CPU needs that stays in the crashed kernel is reserved, first of all that kernel's image, and it
  /// halts for good.
  @Test func theBootCPUIsLeftInPeace() throws {
    try "4294967295\n".write(toFile: "\(directory)/boot-cpu", atomically: true, encoding: .utf8)
    try "0x10000000-0x11ffffff\n".write(toFile: "\(directory)/kernel-image", atomically: true, encoding: .utf8)
    let region = try RegionExtents(word: "0x400000@0x20000000")
    func reserved(_ kernel: NormalKernel) throws -> [PhysicalRange] {
      try applied(kernel.commandLine(region)).filter { $0.kind == "$" }.map(\.range)
    }
    var kernel = try NormalKernel(directory)
    #expect(kernel.parksCPU)
    #expect(try reserved(kernel).first == span(0x1000_0000, 0x200_0000))
    let code: [UInt8] = [0xeb, 0x07, 0xf4, 0xe9, 0x12, 0x34, 0x56, 0x78]
    let memory = BufferMemory(units: 1)
    try memory.write(code, at: 0x1010_0010)
    // Nothing is known of it: nothing is written.
    try kernel.holdParkedCPU(memory)
    #expect(try memory.bytes(at: 0x1010_0010, count: 8) == code)
    kernel.park(topTable: span(0x3000_0000, 4096), behindHalt: PhysicalAddress(0x1010_0013))
    #expect(try reserved(kernel).prefix(2) == [span(0x1000_0000, 0x200_0000), span(0x3000_0000, 4096)])
    let usable = try applied(kernel.commandLine(region)).filter { $0.kind == "@" }.map(\.range)
    #expect(usable.allSatisfy { $0.intersection(span(0x3000_0000, 4096)) == nil && $0.intersection(span(0x1000_0000, 1)) == nil })
    try kernel.holdParkedCPU(memory)
    // JMP to the HLT before it.
    #expect(try memory.bytes(at: 0x1010_0010, count: 8) == [0xeb, 0x07, 0xf4, 0xeb, 0xfd, 0x34, 0x56, 0x78])
    // Not what was seen when the dump was made: it is left alone.
    #expect(throws: DumpError.self) { try kernel.holdParkedCPU(memory) }
    // A table in the image is reserved with it.
    kernel.park(topTable: span(0x1000_1000, 4096), behindHalt: nil)
    #expect(try !reserved(kernel).contains(span(0x1000_1000, 4096)))
    // Where the line is too short for all, the table goes without.
    kernel.park(topTable: span(0x3000_0000, 4096), behindHalt: nil)
    var short: [PhysicalRange] = []
    for length in stride(from: 1500, to: 2000, by: 8) where short.isEmpty {
      try String(repeating: "x", count: length).write(toFile: "\(directory)/cmdline", atomically: true, encoding: .utf8)
      kernel = try NormalKernel(directory)
      kernel.park(topTable: span(0x3000_0000, 4096), behindHalt: nil)
      let ranges = try reserved(kernel)
      if !ranges.contains(span(0x3000_0000, 4096)) { short = ranges }
    }
    #expect(short == [span(0x1000_0000, 0x200_0000)])
  }

  @Test func itIsRefusedWhenTheLineGetsTooLong() throws {
    try String(repeating: "word ", count: 380).write(toFile: "\(directory)/cmdline", atomically: true, encoding: .utf8)
    let kernel = try NormalKernel(directory)
    let region = try RegionExtents(word: "0x400000@0x20000000")
    #expect { try kernel.commandLine(region) } throws: { ($0 as? DumpError)?.kind == .full }
  }

  @Test func whatIsMissingOrWrongIsNamed() throws {
    for name in ["memory-map", "cmdline", "boot-id", "nonce"] {
      let path = "\(directory)/\(name)"
      let before = try String(contentsOfFile: path, encoding: .utf8)
      try FileManager.default.removeItem(atPath: path)
      #expect { try NormalKernel(directory) } throws: { "\($0)".contains(path) }
      if name != "cmdline" {
        try "0000".write(toFile: path, atomically: true, encoding: .utf8)
        #expect { try NormalKernel(directory) } throws: { "\($0)".contains(path) }
      }
      try before.write(toFile: path, atomically: true, encoding: .utf8)
    }
    _ = try NormalKernel(directory)
  }

  @Test func aKernelThatCanNotBeLoadedIsAnError() throws {
    let kernel = try NormalKernel(directory)
    let region = try RegionExtents(word: "0x400000@0x20000000")
    Faults.set([.init(call: .kexecFileLoad, after: 0, errno: 12)])
    defer { Faults.set([]) }
    #expect { try kernel.load(region) } throws: { ($0 as? DumpError)?.kind == .system(12) }
  }
}

@Test func onlyMemoryThatWasSetAsideIsTouched() {
  let memory = MachineMemory([span(0x2000_0000, 0x20_0000)], waitSeconds: 0)
  for (address, count) in [(UInt64(0x1fff_ffff), 2), (0x201f_ffff, 2), (0x3000_0000, 1), (.max, 1)] {
    #expect { try memory.bytes(at: address, count: count) } throws: { "\($0)".contains("not in the memory that was set aside") }
    #expect(throws: DumpError.self) { try memory.write([UInt8](repeating: 1, count: count), at: address) }
  }
}
