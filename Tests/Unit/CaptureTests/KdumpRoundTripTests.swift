#if Kdump
  import Capture
  import CoreEncoding
  import CoreFormat
  import DumpBasics
  import Foundation
  import TestSupport
  import Testing

  @testable import DumpSource
  @testable import LinuxSystem

  private let formats = OutputFormat.allCases.filter(\.isPaged).map(\.rawValue)

  /// Writes `core` in a kdump format; returns the file's path.
  private func written(_ core: SyntheticCore, _ scratch: Scratch, _ format: String, threads: Int = 2) throws -> String {
    try saved(core, scratch, format: format, threads: threads).1
  }

  /// Pages are whole in these formats: what a segment has not of its last one is zeros.
  private func expectSamePages(_ core: SyntheticCore, _ path: String) throws {
    try expectSameMemory(core, path, unit: 4096)
  }

  /// Where the bitmap of pages and the descriptors begin.
  private func places(_ file: Data) throws -> (bitmap: Int, descriptors: Int) {
    let header = try KdumpHeader(Array(file.prefix(KdumpHeader.size)), name: "")
    let (bitmaps, blocks) = (1 + Int(header.subHeaderBlocks), Int(header.bitmapBlocks))
    let size = Int(header.pageSize.bytes)
    return ((bitmaps + blocks / 2) * size, (bitmaps + blocks) * size)
  }

  @Test(arguments: formats) func everyByteOfAnOddMachineGoesThroughKdumpAndBack(format: String) throws {
    let scratch = try Scratch()
    let core = oddMachine()
    let kdump = try written(core, scratch, format)
    try expectSamePages(core, kdump)
    #expect(try openDump(kdump).format == format)
    for (index, other) in [OutputFormat.elfGzip, .elf].enumerated() {
      let back = scratch.file("back-\(index)")
      _ = try convert(kdump, to: back, format: other, threads: 2, QuietReporter())
      try expectSamePages(core, back)
    }
  }

  @Test(arguments: formats) func aFileOfEveryShapeComesBack(format: String) throws {
    let scratch = try Scratch()
    let one = SyntheticCore([.init(0x1000, noise(4096, seed: 1))])
    let unaligned = SyntheticCore([.init(0x1_0800, noise(0x2900, seed: 2)), .init(0x1_3210, noise(16, seed: 3))])
    let zeros = SyntheticCore([.init(0x10_0000, [UInt8](repeating: 0, count: 3 << 20)), .init(0, noise(100, seed: 4))])
    let many = SyntheticCore((0..<3000).map { .init(UInt64($0) << 13, noise(4096, seed: UInt64($0))) })
    // Above 4 GiB, so that the bitmaps have long stretches of nothing.
    let far = SyntheticCore([.init(0x1000, noise(8192, seed: 5)), .init(0x50_0000_0000, noise(70_000, seed: 6))])
    for core in [one, unaligned, zeros, many, far] {
      try expectSamePages(core, try written(core, scratch, format))
    }
  }

  /// Each byte of the bitmap of pages, in turn. A byte with as many bits as before moves pages of its own
  /// eight at most; every other one is seen at once, and the descriptors' marks take its place.
  @Test(arguments: formats) func aWrongByteOfTheBitmapCostsAtMostItsEightPages(format: String) throws {
    let scratch = try Scratch()
    let core = SyntheticCore((0..<300).map { .init(UInt64($0 + $0 / 7) << 12, noise(4096, seed: UInt64($0))) })
    let path = try written(core, scratch, format)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    let bitmap = try places(whole).bitmap
    let damaged = scratch.file("damaged")
    var seen = 0
    for offset in 0..<45 {
      for change in [0x01, 0x80, 0x18, 0xff] as [UInt8] {
        var file = whole
        file[bitmap + offset] ^= change
        try file.write(to: URL(fileURLWithPath: damaged))
        let source = try openDump(damaged)
        let isSeen = !source.findings.isEmpty
        seen += isSeen ? 1 : 0
        for segment in core.segments {
          let found = try? source.bytes(at: PhysicalAddress(segment.physical), count: 4096)
          let isOwn = segment.physical >> 15 == UInt64(offset)
          #expect(found == segment.bytes || found == nil && isOwn && !isSeen, "\(offset), \(change), \(segment.physical >> 12)")
        }
      }
    }
    #expect(seen > 100)
  }

  /// Descriptors have a checksum of themselves and of their data, so that no damage to them gives other
  /// bytes.
  @Test(arguments: formats) func aWrongByteOfADescriptorCostsItsPageAlone(format: String) throws {
    let scratch = try Scratch()
    let core = SyntheticCore((0..<20).map { .init(UInt64($0) << 12, noise($0 % 2 == 0 ? 4096 : 40, seed: UInt64($0))) })
    let path = try written(core, scratch, format)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    let descriptors = try places(whole).descriptors
    let damaged = scratch.file("damaged")
    for number in 0..<20 {
      for byte in 0..<24 {
        var file = whole
        file[descriptors + number * 24 + byte] ^= 0x41
        try file.write(to: URL(fileURLWithPath: damaged))
        let source = try openDump(damaged)
        for (index, segment) in core.segments.enumerated() {
          let found = try? source.bytes(at: PhysicalAddress(segment.physical), count: segment.bytes.count)
          #expect(found == segment.bytes || found == nil && index == number, "\(number), \(byte), \(index)")
        }
      }
    }
  }

  @Test(arguments: formats) func theBytesOfAKdumpAreTheSameForAnyNumberOfThreads(format: String) throws {
    let scratch = try Scratch()
    let first = try Data(contentsOf: URL(fileURLWithPath: written(oddMachine(), scratch, format, threads: 1)))
    for threads in [2, 5] {
      #expect(try Data(contentsOf: URL(fileURLWithPath: written(oddMachine(), scratch, format, threads: threads))) == first)
    }
  }

  @Test func pagesOfZerosShareOnePlace() throws {
    let scratch = try Scratch()
    let out = try written(
      SyntheticCore([.init(0x10_0000, [UInt8](repeating: 0, count: 64 << 20) + noise(4096, seed: 1))]), scratch, "kdump-zlib")
    // 16,385 descriptors, and next to nothing else.
    let size = try Data(contentsOf: URL(fileURLWithPath: out)).count
    #expect(size < 16_385 * 24 + 30_000)
    #expect(try openDump(out).bytes(at: PhysicalAddress(0x410_0000 - 4096), count: 8192).suffix(4096) == noise(4096, seed: 1))
  }

  @Test func verifyAndInfoKnowAKdumpOfOurs() throws {
    let scratch = try Scratch()
    let out = try written(oddMachine(), scratch, "kdump-zlib")
    #expect(try verify(out, threads: 2, QuietReporter()).verdict != .corrupt)
    let facts = try info(out, json: true)
    #expect(facts.contains("\"format\": \"kdump-zlib\""))
    #expect(facts.contains("\"level\": \"all\""))
    #expect(facts.contains("\"tool\": \"mcore"))

    // One byte of a page that is compressed: what is stored as it is has no checksum in this format.
    let text = Array("a page that gets smaller ".utf8)
    let small = try written(SyntheticCore([.init(0x1000, (0..<4096).map { text[$0 % text.count] })]), scratch, "kdump-zlib")
    #expect(try verify(small, threads: 2, QuietReporter()).verdict != .corrupt)
    var bytes = try Data(contentsOf: URL(fileURLWithPath: small))
    bytes[bytes.count - KdumpEnding.size - 10] ^= 0xff
    try bytes.write(to: URL(fileURLWithPath: scratch.file("damaged")))
    let found = try verify(scratch.file("damaged"), threads: 2, QuietReporter())
    #expect(found.verdict == .corrupt)
    #expect(found.lines.contains { $0.contains("1 pages can't be read") })
  }

  /// Headers, notes, zeros behind them, both bitmaps.
  @Test(arguments: formats) func verifySeesAWrongBitOfEverythingBeforeTheDescriptors(format: String) throws {
    let scratch = try Scratch()
    let out = try written(SyntheticCore([.init(0x10_0000, noise(32 * 4096, seed: 1))]), scratch, format)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: out))
    let ending = try #require(KdumpEnding(Array(bytes.suffix(KdumpEnding.size))))
    #expect(try openDump(out).findings == [])
    var seen = 0
    for (number, place) in stride(from: 0, to: Int(ending.covered), by: 97).enumerated() {
      var damaged = bytes
      damaged[place] ^= 1 << (number % 8)
      try damaged.write(to: URL(fileURLWithPath: scratch.file("damaged")))
      // What is no dump any more says so itself.
      guard let found = try? verify(scratch.file("damaged"), threads: 1, QuietReporter()) else { continue }
      #expect(found.verdict == .corrupt, "\(place)")
      seen += 1
    }
    #expect(seen > 100)
    #expect(try verify(out, threads: 1, QuietReporter()).verdict != .corrupt)
  }

  @Test func aFileWithoutTheChecksumOfItsHeadersIsReadAndSaysSo() throws {
    let scratch = try Scratch()
    let out = try written(oddMachine(), scratch, "kdump-zlib")
    let bytes = try Data(contentsOf: URL(fileURLWithPath: out))
    try bytes.dropLast(KdumpEnding.size).write(to: URL(fileURLWithPath: scratch.file("older")))
    let found = try verify(scratch.file("older"), threads: 1, QuietReporter())
    #expect(found.verdict == (try verify(out, threads: 1, QuietReporter()).verdict))
    #expect(found.lines.contains { $0.contains("have no checksum") })
  }

  @Test func aFileThatIsCutByALimitSaysThatItIsIncompleteAndHasWhatWasWritten() throws {
    let scratch = try Scratch()
    let core = SyntheticCore([.init(0x10_0000, noise(8 << 20, seed: 1)), .init(0x1000, noise(8192, seed: 2))])
    try core.write(to: scratch.file("input"))
    var request = SaveRequest(source: scratch.file("input"), targets: [scratch.file("out")], level: .all)
    request.format = .kdumpZlib
    request.limits.bytes = 4 << 20
    let result = try save(request, QuietReporter())
    #expect(result.status == .cut)
    #expect(result.path == scratch.file("out.incomplete"))
    let source = try openDump(scratch.file("out.incomplete"))
    #expect(source.findings.contains { $0.description.contains("incomplete") })
    // All that was written is there; of the rest nothing is wrong.
    var there: UInt64 = 2
    for offset in stride(from: 0, to: 8 << 20, by: 4096) {
      if let page = try? source.bytes(at: PhysicalAddress(0x10_0000 + UInt64(offset)), count: 4096) {
        #expect(page == Array(core.segments[0].bytes[offset..<offset + 4096]))
        there += 1
      }
    }
    // Noise does not get smaller: all but the headers and the last unit.
    #expect(there > (4 << 20) / 4096 - 100)
    #expect(result.findings.contains("there is \(there) of 2050 pages"), "\(result.findings)")
  }

  @Suite(.serialized) struct KdumpFaultTests {
    @Test(arguments: formats) func aPageThatCanNotBeReadIsLostAndNothingElse(format: String) throws {
      let scratch = try Scratch()
      let core = SyntheticCore([.init(0x10_0000, noise(1 << 20, seed: 1))])
      let input = scratch.file("input")
      try core.write(to: input)
      let bad = PhysicalAddress(0x10_0000 + 100 * 4096)
      let piece = try #require(try openDump(input).coverage().first { $0.range.contains(bad.rawValue) })
      guard case .data(let offset) = piece.kind else { throw DumpError("not there") }
      let start = offset + (bad.rawValue - piece.range.start)
      Faults.setUnreadable(path: input, start..<start + 4096)
      defer { Faults.setUnreadable(path: input, 0..<0) }
      var request = SaveRequest(source: input, targets: [scratch.file("out")], level: .all)
      request.format = try #require(.init(rawValue: format))
      let result = try save(request, QuietReporter())
      #expect(result.status == .findings)
      #expect(result.findings.contains { $0.contains("0x164000") })

      let source = try openDump(scratch.file("out"))
      let error = #expect(throws: DumpError.self) { try source.bytes(at: bad, count: 4096) }
      #expect(error?.description.contains("lost") == true)
      let behind = try source.bytes(at: PhysicalAddress(bad.rawValue + 4096), count: 4096)
      #expect(behind == Array(core.segments[0].bytes[101 * 4096..<102 * 4096]))
      #expect(try verify(scratch.file("out"), threads: 1, QuietReporter()).verdict == .corrupt)

      // Writing it anew keeps that one page lost.
      _ = try convert(scratch.file("out"), to: scratch.file("again"), format: .elfGzip, threads: 2, QuietReporter())
      let unreadable = try #require(try openDump(scratch.file("again")).metadata?.trailer).unreadable
      #expect(unreadable == [try #require(PhysicalRange(start: bad.rawValue, count: 4096))])
    }
  }
#endif
