import Capture
import CoreEncoding
import DumpBasics
import DumpSource
import Foundation
import SoftBoot
import TestSupport
import Testing

/// The target `memory:`, over a file that is the machine's memory: the file's offsets are physical addresses.
/// It is a core as well, so that what is written to memory that is still to be read shows in the dump.
struct MemoryFile {
  let path: String
  let machine: SyntheticMachine
  /// Headers of the core stand here, and no memory.
  static let start: UInt64 = 1 << 16

  init(_ path: String, _ generation: KernelGeneration = .v6_1) throws {
    self.path = path
    machine = SyntheticMachine(SyntheticMachineConfiguration(generation, memory: 256 << 20))
    // Kernel text's own mapping, then the direct map.
    let pieces = machine.segments.compactMap { segment -> (PhysicalRange, UInt64)? in
      let range = PhysicalRange(max(segment.physical.start, MemoryFile.start), segment.physical.end)
      return range.map { ($0, segment.virtualAddress + ($0.start - segment.physical.start)) }
    }
    let loads = pieces.map { range, address in
      ELFProgramHeader(
        type: ELFProgramHeader.load, flags: 7, offset: range.start, virtualAddress: address, physicalAddress: range.start,
        fileSize: range.count, memorySize: range.count)
    }
    _ = FileManager.default.createFile(
      atPath: path, contents: Data(try coreStart(machine.identity, machine.notes, loads)))
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    defer { try? file.close() }
    let step: UInt64 = 1 << 16
    for (range, _) in pieces {
      for address in stride(from: range.start, to: range.end, by: Int(step)) {
        try file.seek(toOffset: address)
        try file.write(
          contentsOf: try machine.bytes(at: PhysicalAddress(address), count: Int(min(step, range.end - address))))
      }
    }
    try file.truncate(atOffset: (pieces.map(\.0.end).max() ?? 0) + 0xfffff & ~0xfffff)
  }
}

@Suite struct RegionTargetTests {
  private func request(_ memory: MemoryFile, _ scratch: Scratch, _ targets: [String], level: String) throws -> SaveRequest {
    try "00000000-00000fff : Reserved\n04000000-05ffffff : System RAM\n".write(
      toFile: scratch.file("iomem"), atomically: true, encoding: .utf8)
    var request = SaveRequest(source: memory.path, targets: targets, level: try #require(.init(named: level)))
    request.threads = 2
    request.region.device = memory.path
    request.region.memoryMap = scratch.file("iomem")
    request.region.identity.bootID = try #require(RegionID("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"))
    return request
  }

  /// Where the region is, from the name that the dump got: `/dev/mem, SIZE@START,...`.
  static func windows(_ name: String) throws -> [PhysicalRange] {
    let list = try #require(name.components(separatedBy: ", ").last)
    return try list.components(separatedBy: ",").map { part in
      let numbers = part.components(separatedBy: "@").compactMap { UInt64($0.dropFirst(2), radix: 16) }
      return try #require(PhysicalRange(start: numbers[1], count: numbers[0]))
    }
  }

  @Test(arguments: ["kern", "used"], ["elf.gz", "elf"])
  func theDumpInMemoryIsTheDumpOnDisk(level: String, format: String) throws {
    let scratch = try Scratch()
    let memory = try MemoryFile(scratch.file("memory"))
    var onDisk = try request(memory, scratch, [scratch.file("dump")], level: level)
    onDisk.format = try #require(.init(rawValue: format))
    // Whole; the machine has no log, which is a finding.
    #expect(try save(onDisk, QuietReporter()).status == .findings)
    let expected = Array(try Data(contentsOf: URL(fileURLWithPath: scratch.file("dump"))))

    var inMemory = onDisk
    inMemory.targets = ["memory:"]
    if level == "used", format == "elf" {
      // Uncompressed it is larger than all free memory: the start of it is there, and it says that it is cut.
      let result = try save(inMemory, QuietReporter())
      #expect(result.status == .cut)
      let device = try DeviceMemory(memory.path)
      let region = try findRegion(device, in: try RegionTargetTests.windows(result.path), expecting: RegionExpectation())
      let (bytes, outcome) = try RegionTargetTests.contents(region)
      #expect(region.head.isCut && !outcome.isWhole && outcome.damaged.isEmpty)
      #expect(UInt64(bytes.count) == region.head.extents.capacity && expected.starts(with: bytes))
      return
    }
    let result = try save(inMemory, QuietReporter())
    #expect(result.status == .findings && result.bytesWritten == UInt64(expected.count))
    let windows = try RegionTargetTests.windows(result.path)
    let device = try DeviceMemory(memory.path)
    let region = try findRegion(device, in: windows, expecting: RegionExpectation())
    let (bytes, outcome) = try RegionTargetTests.contents(region)
    #expect(outcome.isWhole)
    #expect(bytes == expected)
    #expect(
      !region.head.identity.release.isEmpty && memory.machine.vmcoreinfo.contains("OSRELEASE=\(region.head.identity.release)\n"))
    #expect(region.head.identity.fileName == "vmcore.\(format)")
    // No more than was needed: less than one unit is not used.
    #expect(region.head.extents.capacity - UInt64(bytes.count) < RegionLayout.payloadSize)
    for extent in windows {
      // The crash kernel's own memory.
      #expect(extent.end <= 0x400_0000 || extent.start >= 0x600_0000)
      for frame in extent.start >> 12..<extent.end >> 12 {
        let truth = try #require(memory.machine.trueClass(PageFrame(frame)))
        #expect(level == "used" ? truth == .free : [.free, .user, .cache, .cachePrivate].contains(truth))
      }
    }
    // A second crash does not take its place: the extents would be the same ones.
    #expect {
      try save(inMemory, QuietReporter())
    } throws: { "\($0)".contains("a dump that was not saved lies here") || "\($0)".contains("not in the dump") }
  }

  @Test func aWindowThatTheDumpHoldsIsRefusedAndTheNextTargetTakesOver() throws {
    let scratch = try Scratch()
    let memory = try MemoryFile(scratch.file("memory"))
    let before = try Data(contentsOf: URL(fileURLWithPath: memory.path))
    let all = try request(memory, scratch, ["memory:0x800000@0x1000000", scratch.file("dump")], level: "all")
    #expect(try save(all, QuietReporter()).path == scratch.file("dump"))
    // At this level nothing is left out, so there is no room to choose from either.
    #expect {
      try save(try request(memory, scratch, ["memory:"], level: "all"), QuietReporter())
    } throws: { ($0 as? DumpError)?.kind == .full }
    // Nor is memory taken that nobody checked.
    var unchecked = try request(memory, scratch, ["memory:"], level: "kern")
    unchecked.trust = .metadata
    #expect { try save(unchecked, QuietReporter()) } throws: { "\($0)".contains("trust=metadata") }
    #expect(try Data(contentsOf: URL(fileURLWithPath: memory.path)) == before)
  }

  @Test func aWindowThatWasSetAsideIsUsedWhole() throws {
    let scratch = try Scratch()
    let memory = try MemoryFile(scratch.file("memory"))
    // Behind the end of the machine's memory.
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: memory.path))
    try handle.truncate(atOffset: 1 << 30)
    try handle.close()
    let result = try save(
      try request(memory, scratch, ["memory:512M@512M"], level: "kern"), QuietReporter())
    #expect(result.status == .findings && result.path.hasSuffix(", 0x20000000@0x20000000"))
    let window = try #require(PhysicalRange(start: 512 << 20, count: 512 << 20))
    let region = try findRegion(try DeviceMemory(memory.path), in: [window], expecting: RegionExpectation())
    #expect(region.check().isWhole && region.head.extents.ranges == [window])
  }

  static func contents(_ region: Region) throws -> (bytes: [UInt8], outcome: Region.Outcome) {
    var bytes = Data(capacity: Int(region.length))
    let outcome = try region.copy(
      write: { (piece) throws(DumpError) in bytes.append(contentsOf: piece) },
      skip: { (count) throws(DumpError) in bytes.append(Data(count: Int(count))) })
    return (Array(bytes), outcome)
  }
}
