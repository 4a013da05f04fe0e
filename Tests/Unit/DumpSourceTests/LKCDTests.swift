#if Kdump
  import CoreEncoding
  import DumpBasics
  import DumpSource
  import Foundation
  import TestSupport
  import Testing

  /// Noise, a run, single zeros and pairs of them: all that an encoding of runs tells apart.
  private func page(_ seed: UInt64) -> [UInt8] {
    noise(1024, seed: seed) + [UInt8](repeating: UInt8(truncatingIfNeeded: seed), count: 2700)
      + (0..<62).flatMap { [0, UInt8($0 + 1), 0, 0, 7, 7] }
  }

  /// Out of order, with gaps, a page of zeros among them.
  private func mixed() -> SyntheticLKCD {
    SyntheticLKCD([
      .packed(1, page(1)), .raw(2, page(2)), .packed(3, page(3)), .packed(64, page(64)), .packed(20, page(20)),
      .raw(21, page(21)), .packed(0, [UInt8](repeating: 0, count: 4096)), .packed(31, page(31)), .packed(32, page(32)),
      .raw(1 << 30, page(99)), .end(flags: 4),
    ])
  }
  private let frames: [UInt64] = [1, 2, 3, 64, 20, 21, 31, 32]

  private func opened(_ file: [UInt8], _ scratch: Scratch) throws -> any DumpSource {
    let path = scratch.file("lkcd-\(UUID().uuidString)")
    try Data(file).write(to: URL(fileURLWithPath: path))
    return try openDump(path)
  }

  private func expectMixed(_ source: any DumpSource, without lost: Set<UInt64> = []) throws {
    for frame in frames where !lost.contains(frame) {
      #expect(try source.bytes(at: PhysicalAddress(frame * 4096), count: 4096) == page(frame), "\(frame)")
    }
    if !lost.contains(1 << 30) { #expect(try source.bytes(at: PhysicalAddress(4096 << 30), count: 4096) == page(99)) }
  }

  @Suite struct LKCDTests {
    @Test(arguments: 8...10 as ClosedRange<UInt32>, [LKCDCodec.zlib, .rle, .shortRLE])
    func everyVersionAndCodecGivesItsPagesAndWhatItKnowsOfTheCrash(version: UInt32, codec: LKCDCodec) throws {
      var lkcd = mixed()
      lkcd.header.version = version
      lkcd.header.bufferSize = version == 8 ? nil : version == 9 ? 65536 : 256 << 10
      lkcd.codec = codec
      let source = try opened(lkcd.bytes(), try Scratch())
      #expect(source.findings.isEmpty && source.shortfall == nil && source.bytesBehind == 0, "\(source.findings)")
      #expect(source.identity == MachineIdentity(.x86_64, .little))
      #expect(source.format == (codec == .zlib ? "lkcd-zlib" : "lkcd-rle"))
      try expectMixed(source)
      #expect(try source.bytes(at: PhysicalAddress(0), count: 4096) == [UInt8](repeating: 0, count: 4096))
      let across = Array((page(2) + page(3))[4000..<4200])
      #expect(try source.bytes(at: PhysicalAddress(2 * 4096 + 4000), count: 200) == across)
      let statement = try #require(source.crashStatement)
      #expect(statement.release == "2.6.9-test" && statement.names[4] == "x86_64")
      #expect(statement.crashTime == 1_110_000_000 && statement.reason == "Oops: 0002 [1] SMP")
      let wanted: [[UInt64]] = [[0, 4], [20, 22], [31, 33], [64, 65], [1 << 30, (1 << 30) + 1]]
      #expect(source.coverage().map { [$0.range.start / 4096, $0.range.end / 4096] } == wanted)
      for frame in [4, 63, 1 << 31, 1 << 50] as [UInt64] {
        let error = #expect(throws: DumpError.self) { try source.bytes(at: PhysicalAddress(frame * 4096), count: 16) }
        #expect(error?.description.contains("not in the dump") == true)
      }
      #expect(throws: DumpError.self) { try source.bytes(at: PhysicalAddress(.max - 7), count: 16) }
    }

    @Test func eachProcessorWithRegistersIsANote() throws {
      var lkcd = mixed()
      lkcd.processors = [Array(1...21), [], Array(101...121)]
      let source = try opened(lkcd.bytes(), try Scratch())
      #expect(source.notes.count == 2 && source.notes.allSatisfy { $0.isProcessorStatus && $0.descriptor.count == 336 })
      let reader = ByteReader(source.notes[1].descriptor, .little)
      #expect((0..<21).map { reader.u64(112 + 8 * $0) } == (101...121).map { $0 })
      #expect(reader.u64(112 + 8 * 21) == 0)
    }

    @Test func pagesInOneGoAreThoseOneByOne() throws {
      let memory = (0..<100).map { $0 % 7 == 3 ? [UInt8](repeating: 0, count: 4096) : page(UInt64($0)) }
      let lkcd = SyntheticLKCD(
        memory.enumerated().map {
          $0.offset % 3 == 0 ? .raw(UInt64($0.offset) + 30, $0.element) : .packed(UInt64($0.offset) + 30, $0.element)
        }
          + [.end(flags: 4)])
      let source = try opened(lkcd.bytes(), try Scratch())
      let flat = memory.flatMap { $0 }
      #expect(try source.bytes(at: PhysicalAddress(30 * 4096), count: flat.count) == flat)
      #expect(try source.bytes(at: PhysicalAddress(30 * 4096 + 5), count: 200_000) == Array(flat[5..<200_005]))
      for (index, wanted) in memory.enumerated() {
        #expect(try source.bytes(at: PhysicalAddress(UInt64(30 + index) * 4096), count: 4096) == wanted)
      }
    }

    @Test func ofAPageThatStandsThereTwiceTheFirstOneCounts() throws {
      for others in [[], [SyntheticLKCD.Item.raw(7, page(70))]] {
        let items: [SyntheticLKCD.Item] = [.packed(5, page(5)), .packed(6, page(6)), .raw(5, page(50))] + others
        let lkcd = SyntheticLKCD(items + [.raw(6, page(60)), .raw(6, page(61)), .raw(8, page(80)), .end(flags: 4)])
        let source = try opened(lkcd.bytes(), try Scratch())
        #expect(try source.bytes(at: PhysicalAddress(5 * 4096), count: 8192) == page(5) + page(6))
        #expect(try source.bytes(at: PhysicalAddress(8 * 4096), count: 4096) == page(80))
        #expect(source.findings.map(\.description).contains { $0.contains("3 pages stand in the file more than once") })
      }
    }

    @Test func aRawPageWithoutDataIsZeros() throws {
      let source = try opened(
        SyntheticLKCD([.raw(1, page(1)), .wild(2, count: 0, flags: 1, []), .raw(3, page(3)), .end(flags: 4)]).bytes(),
        try Scratch())
      #expect(
        try source.bytes(at: PhysicalAddress(4096), count: 3 * 4096) == page(1) + [UInt8](repeating: 0, count: 4096) + page(3))
    }

    /// LKCD's writer fills its last buffer up; a disk goes on behind that.
    @Test func whatStandsBehindTheEndIsNoPartOfIt() throws {
      for (count, behind) in [(3000, 0), (65536, 0), (65537, 65537)] {
        var lkcd = mixed()
        lkcd.items.append(.bytes([UInt8](repeating: 0x6d, count: count)))
        let source = try opened(lkcd.bytes(), try Scratch())
        #expect(source.findings.isEmpty && source.bytesBehind == UInt64(behind))
        try expectMixed(source)
      }
    }

    // MARK: not whole

    @Test func withoutItsEndAFileIsWholeOnlyByTheNumberOfItsPages() throws {
      for (stated, isWhole) in [(10, true), (9, true), (11, false), (0, false)] as [(UInt32, Bool)] {
        var lkcd = mixed()
        lkcd.items.removeLast()
        lkcd.header.pageCount = stated
        let source = try opened(lkcd.bytes(), try Scratch())
        #expect((source.shortfall == nil) == isWhole && source.findings.isEmpty == isWhole, "\(stated): \(source.findings)")
        try expectMixed(source)
        if stated == 11 { #expect(source.findings.description.contains("1 pages are missing")) }
      }
    }

    @Test func aDumpThatItsWriterEndedEarlySaysSo() throws {
      var lkcd = mixed()
      lkcd.items[lkcd.items.count - 1] = .end(flags: 4 | 8)
      lkcd.header.pageCount = 12
      let source = try opened(lkcd.bytes(), try Scratch())
      #expect(source.shortfall != nil)
      #expect(source.findings.description.contains("its writer ended it early; 2 pages are missing"))
      lkcd.items[lkcd.items.count - 1] = .end(flags: 4)
      let other = try opened(lkcd.bytes(), try Scratch())
      #expect(other.findings.description.contains("the header says 12 pages, and 10 are there"))
    }

    @Test func theHeaderAloneSaysWhatItKnows() throws {
      var lkcd = SyntheticLKCD([])
      lkcd.header.dumpLevel = 1
      for count in [LKCDHeader.shortSize, LKCDHeader.size, 2000, 65536] {
        let source = try opened(Array(lkcd.bytes()[0..<count]), try Scratch())
        #expect(source.coverage().isEmpty && source.crashStatement?.release == "2.6.9-test")
        #expect(source.findings.description.contains("the header alone was dumped"))
      }
    }

    @Test func everyPrefixIsReadUpToWhereItEndsAndNeverCalledWhole() throws {
      let scratch = try Scratch()
      let lkcd = mixed()
      let whole = try lkcd.bytes()
      for count in Array(stride(from: 0, to: 2000, by: 97)) + Array(stride(from: lkcd.start - 5, to: whole.count, by: 61)) {
        guard let source = try? opened(Array(whole[0..<count]), scratch) else {
          #expect(count < LKCDHeader.shortSize, "\(count)")
          continue
        }
        // The end-of-dump page is missing, and all pages are there: their number says so.
        if count >= whole.count - 16 { continue }
        #expect(source.shortfall != nil && !source.findings.isEmpty, "\(count) of \(whole.count)")
        for piece in source.coverage() where piece.kind != .cut {
          let bytes = try source.bytes(at: PhysicalAddress(piece.range.start), count: Int(piece.range.count))
          for (index, frame) in (piece.range.start / 4096..<piece.range.end / 4096).enumerated() where frames.contains(frame) {
            #expect(Array(bytes[index * 4096..<(index + 1) * 4096]) == page(frame))
          }
        }
      }
      // In the data of pfn 2, which is raw.
      let data = lkcd.start + 16 + (try SyntheticLKCD.pack(page(1), .zlib)).count + 16
      let source = try opened(Array(whole[0..<data + 100]), scratch)
      let kinds: [[UInt64]] = source.coverage().map { [$0.range.start / 4096, $0.kind == .cut ? 1 : 0] }
      #expect(kinds == [[1, 0], [2, 1]])
      #expect(source.findings.description.contains("cut in the data of pfn 0x2; 9 pages are missing"))
    }

    // MARK: damaged

    /// A field that can't be is replaced by what the rest of the file says, and named; all pages are read.
    @Test(
      arguments: [
        (0, [0, 0], "the signature is damaged"), (8, [99, 0, 0, 0], "header version 0x63 is taken for 9"),
        (8, [5, 0, 0, 0], "header version 0x5 is taken for 9"), (12, [255, 255, 255, 255], ""), (12, [0, 0, 0, 0], ""),
        (20, [0, 0, 1, 0], "dh_page_size is 65536"), (324 + 4 * 65, [0x79], "is taken for x86_64"),
        (722, [1, 0, 0, 0], "dh_dump_compress is 1, and the pages are packed by zlib"),
        (722, [0, 0, 0, 0], "dh_dump_compress is 0"), (722, [200, 0, 0, 0], "dh_dump_compress is 200"),
        (734, [255, 255, 255, 255, 255, 255, 255, 255], "the pages begin at 0x10000"),
        (734, [0, 0, 4], "the pages begin at 0x10000"),
        (734, [0, 0, 0], "the pages begin at 0x10000"), (742, [0], "no header of registers"),
        (742 + 12, [255, 255, 255, 255], "no header of registers"),
      ] as [(Int, [UInt8], String)])
    func aDamagedFieldOfTheHeaderCostsNoPage(offset: Int, bytes: [UInt8], said: String) throws {
      var file = try mixed().bytes()
      file.replaceSubrange(offset..<offset + bytes.count, with: bytes)
      let source = try opened(file, try Scratch())
      let texts = source.findings.map(\.description)
      #expect(said.isEmpty ? texts.isEmpty : texts.count == 1 && texts[0].contains(said), "\(texts)")
      try expectMixed(source)
    }

    @Test(
      arguments: [
        (8, [3, 0, 0, 0], "version 3 of a dump of LKCD"), (8, [8, 0, 0, 0x80], "version 0x80000008"),
        (324 + 4 * 65, Array("i686".utf8) + [0, 0], "machine 'i686'"),
      ] as [(Int, [UInt8], String)])
    func whatIsOfAnotherKindIsRefusedInOneLine(offset: Int, bytes: [UInt8], said: String) throws {
      var file = try mixed().bytes()
      file.replaceSubrange(offset..<offset + bytes.count, with: bytes)
      // What has other places for its strings has none at these.
      if offset == 8 { file[324] = 0 }
      let error = #expect(throws: DumpError.self) { try opened(file, try Scratch()) }
      #expect(error?.description.contains(said) == true && error?.description.contains("\n") == false)
      #expect(error?.advice.contains("mcore reads") == true)
    }

    @Test func aBigEndianOneIsRefusedByName() throws {
      var file = try mixed().bytes()
      file.replaceSubrange(0..<8, with: LKCDHeader.signature.reversed())
      let error = #expect(throws: DumpError.self) { try opened(file, try Scratch()) }
      #expect(error?.description.contains("LKCD, of a big-endian machine") == true)
    }

    @Test func aDamagedHeaderOfAPageCostsThatPageAndIsNamed() throws {
      let lkcd = mixed()
      let whole = try lkcd.bytes()
      // The headers of pfn 2 (raw), 3 (packed), 21 (raw).
      func size(_ frame: UInt64) throws -> Int { try SyntheticLKCD.pack(page(frame), .zlib).count }
      let second = lkcd.start + 16 + (try size(1))
      let third = second + 16 + 4096
      let raw = third + 48 + (try size(3) + size(64) + size(20))
      for (frame, place) in [(2, second), (3, third), (21, raw)] as [(UInt64, Int)] {
        for bytes in [
          (0, [1]), (6, [0x80]), (8, [255, 255, 255, 255]), (8, [17, 0, 0, 0]), (8, [0, 0, 0, 0]), (8, [255, 31, 0, 0]),
          (12, [0]), (12, [3]), (12, [0xff, 0xff]), (12, [4]), (0, [UInt8](repeating: 0xa5, count: 16)),
        ] as [(Int, [UInt8])] {
          var file = whole
          file.replaceSubrange(place + bytes.0..<place + bytes.0 + bytes.1.count, with: bytes.1)
          let source = try opened(file, try Scratch())
          try expectMixed(source, without: [frame])
          // What is there of it is right: behind a size that is too large zlib finds its end.
          let read = try? source.bytes(at: PhysicalAddress(frame * 4096), count: 4096)
          #expect(read == nil || read == page(frame), "\(frame) \(bytes)")
          #expect(!source.findings.isEmpty, "\(frame) \(bytes)")
        }
      }
    }

    @Test func damagedDataCostsItsPageAndIsNamed() throws {
      for codec in [LKCDCodec.zlib, .rle, .shortRLE] {
        var lkcd = mixed()
        lkcd.codec = codec
        var file = try lkcd.bytes()
        let size = try SyntheticLKCD.pack(page(1), codec).count
        // A literal byte becomes the start of a run.
        file[lkcd.start + 16 + size / 8] = 0
        file[lkcd.start + 16 + size / 8 + 1] = 0x40
        let source = try opened(file, try Scratch())
        let error = #expect(throws: DumpError.self, "\(codec)") { try source.bytes(at: PhysicalAddress(4096), count: 4096) }
        #expect(error?.description.contains("pfn 0x1") == true && error?.description.contains("damaged page") == true)
        try expectMixed(source, without: [1])
      }
    }

    @Test func aPageOfAWrongSizeIsNamedWhenItIsRead() throws {
      for (count, flags, said) in [
        (4095, 1, "page data of 4095 bytes"), (4097, 1, "page data of 4097"), (9000, 2, "page data of 9000"),
      ]
        as [(UInt32, UInt32, String)]
      {
        let lkcd = SyntheticLKCD([
          .raw(1, page(1)), .wild(2, count: count, flags: flags, [UInt8](repeating: 9, count: Int(count))), .raw(3, page(3)),
          .end(flags: 4),
        ])
        let source = try opened(lkcd.bytes(), try Scratch())
        let error = #expect(throws: DumpError.self) { try source.bytes(at: PhysicalAddress(2 * 4096), count: 4096) }
        #expect(error?.description.contains(said) == true, "\(source.findings) \(String(describing: error))")
        #expect(try source.bytes(at: PhysicalAddress(3 * 4096), count: 4096) == page(3))
        #expect(try source.bytes(at: PhysicalAddress(4096), count: 4096) == page(1))
      }
    }

    @Test func aTornStretchIsPassedOver() throws {
      var lkcd = mixed()
      lkcd.items.insert(.bytes(noise(300_000, seed: 5)), at: 4)
      let source = try opened(lkcd.bytes(), try Scratch())
      #expect(source.findings.count == 1 && source.findings.description.contains("the next one was found at offset"))
      try expectMixed(source)
    }

    /// Tables of small numbers, as memory is full of: two headers of compressed pages, the end behind one, and one
    /// over and over.
    @Test func whatLooksLikePageHeadersInMemoryIsNone() throws {
      let words: [[UInt32]] = [
        [0, 0, 16, 2, 1, 1, 1, 1, 0x3000, 0, 16, 2, 9, 9, 9, 9, 9, 9, 9, 9], [0, 0, 16, 2, 1, 1, 1, 1, 0, 0, 0, 4, 7],
        [0x1000, 0, 16, 2, 5, 5, 5, 5], [1, 0, 0, 0, 1], [0, 0, 0, 1],
      ]
      for table in words {
        var writer = ByteWriter()
        for _ in 0..<500 { for word in table { writer.u32(word) } }
        var lkcd = mixed()
        lkcd.items.insert(.bytes(noise(99, seed: 8) + writer.bytes + noise(101, seed: 9)), at: 4)
        let source = try opened(lkcd.bytes(), try Scratch())
        #expect(source.findings.count == 1 && source.coverage().count == 5, "\(table): \(source.findings)")
        try expectMixed(source)
      }
    }

    @Test func aStretchWithoutPagesToTheEndIsNamed() throws {
      for tail in [noise(100_000, seed: 6), [UInt8](repeating: 0, count: 100_000)] {
        var lkcd = mixed()
        lkcd.items[lkcd.items.count - 1] = .bytes(tail)
        lkcd.header.pageCount = 15
        let source = try opened(lkcd.bytes(), try Scratch())
        #expect(source.shortfall != nil)
        #expect(source.findings.description.contains("none was found behind it; 5 pages are missing"))
        try expectMixed(source)
      }
    }

    /// A hole of 4 EiB is not looked through.
    @Test func aFileThatIsLargeAndEmptyIsReadAtOnce() throws {
      let scratch = try Scratch()
      let path = scratch.file("sparse")
      var lkcd = mixed()
      lkcd.items.removeLast()
      try lkcd.write(to: path)
      let file = try #require(FileHandle(forUpdatingAtPath: path))
      try file.truncate(atOffset: 1 << 42)
      try file.close()
      let source = try openDump(path)
      #expect(source.findings.description.contains("none was found behind it"))
      try expectMixed(source)
    }

    @Test func thousandsOfRandomMutationsNeverTrap() throws {
      let scratch = try Scratch()
      let lkcd = mixed()
      let whole = try lkcd.bytes()
      let path = scratch.file("mutated")
      var answered = 0
      for seed in 0..<2000 as Range<UInt64> {
        var file = whole
        let random = noise(40, seed: seed &+ 0x1cd)
        for index in 0...Int(seed % 4) {
          let place = Int(random[8 * index]) << 16 | Int(random[8 * index + 1]) << 8 | Int(random[8 * index + 2])
          let offset = random[8 * index + 3] % 2 == 0 ? place % 1100 : lkcd.start + place % (file.count - lkcd.start)
          file[min(file.count - 1, offset)] = random[8 * index + 4]
        }
        if seed % 7 == 0 { file.removeLast((Int(random[39]) << 6) % (file.count - lkcd.start)) }
        try Data(file).write(to: URL(fileURLWithPath: path))
        guard let source = try? openDump(path) else { continue }
        answered += 1
        for piece in source.coverage().prefix(20) {
          _ = try? source.bytes(at: PhysicalAddress(piece.range.start), count: Int(min(piece.range.count, 1 << 16)))
        }
      }
      #expect(answered > 1500)
    }
  }
#endif
