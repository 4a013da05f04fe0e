#if Kdump
  import CoreEncoding
  import DumpBasics
  import DumpSource
  import Foundation
  import TestSupport
  import Testing

  private func page(_ seed: UInt64) -> [UInt8] { noise(1024, seed: seed) + [UInt8](repeating: UInt8(seed), count: 3072) }

  /// Pages of every kind, with gaps: before the first, between, and a last one in the second block of the
  /// bitmaps.
  private func mixed() -> SyntheticKdump {
    SyntheticKdump([
      1: .zlib(page(1)), 2: .leftOut, 3: .plain(page(3)), 4: .zlib(page(4)), 64: .zlib(page(64)), 65: .leftOut, 70: .lost,
      40_000: .zlib(page(5)),
    ])
  }

  private func opened(_ file: [UInt8], _ scratch: Scratch) throws -> any DumpSource {
    let path = scratch.file("kdump-\(UUID().uuidString)")
    try Data(file).write(to: URL(fileURLWithPath: path))
    return try openDump(path)
  }

  @Test(arguments: 1...6 as ClosedRange<UInt32>, [ByteOrder.little, .big])
  func everyVersionGivesItsPagesAndWhatItKnowsOfTheKernel(version: UInt32, order: ByteOrder) throws {
    var kdump = mixed()
    kdump.version = version
    if order == .big { kdump.identity = MachineIdentity(.arm64, .big) }
    let source = try opened(kdump.bytes(), try Scratch())
    #expect(source.identity == kdump.identity)
    for (frame, seed) in [(1, 1), (3, 3), (4, 4), (64, 64), (40_000, 5)] as [(UInt64, UInt64)] {
      #expect(try source.bytes(at: PhysicalAddress(frame * 4096), count: 4096) == page(seed))
    }
    let across = Array((page(3) + page(4))[4000..<4200])
    #expect(try source.bytes(at: PhysicalAddress(3 * 4096 + 4000), count: 200) == across)
    // Notes since version 4, VMCOREINFO alone in 3.
    let names = version >= 4 ? ["CORE", "VMCOREINFO"] : version == 3 ? ["VMCOREINFO"] : []
    #expect(source.notes.map(\.name) == names)
    #expect(source.dumpLevel == 31)
    #expect(source.format == "kdump-zlib")
  }

  @Test func whatIsThereWhatWasLeftOutAndWhatWasLostAreToldApart() throws {
    let source = try opened(mixed().bytes(), try Scratch())
    let ranges: [[UInt64]] = source.coverage().map { [$0.range.start / 4096, $0.range.end / 4096] }
    let wanted: [[UInt64]] = [[1, 2], [3, 5], [64, 65], [70, 71], [40_000, 40_001]]
    #expect(ranges == wanted)
    let leftOut: [UInt64] = source.leftOut.map { $0.range.start / 4096 }
    #expect(leftOut == [2, 65])
    #expect(source.leftOut.allSatisfy { $0.reason == .level })
    for (frame, words) in [(0, "not in the dump"), (2, "not in the dump"), (70, "lost"), (50_000, "not in the dump")]
      as [(UInt64, String)]
    {
      let error = #expect(throws: DumpError.self) { try source.bytes(at: PhysicalAddress(frame * 4096), count: 16) }
      #expect(error?.description.contains(words) == true)
    }
    #expect(throws: DumpError.self) { try source.bytes(at: PhysicalAddress(.max - 7), count: 16) }
  }

  @Test func pagesOf64KiBAndLongRunsAreReadInOneGo() throws {
    var kdump = SyntheticKdump([:])
    kdump.identity = MachineIdentity(.arm64, .little)
    kdump.pageSize = 65536
    var memory: [UInt8] = []
    for frame in 0..<40 as Range<UInt64> {
      let bytes = frame % 3 == 0 ? [UInt8](repeating: 0, count: 65536) : noise(65536, seed: frame)
      kdump.pages[frame + 7] = frame % 2 == 0 ? .zlib(bytes) : .plain(bytes)
      memory += bytes
    }
    let source = try opened(kdump.bytes(), try Scratch())
    #expect(try source.bytes(at: PhysicalAddress(7 * 65536), count: memory.count) == memory)
    #expect(try source.bytes(at: PhysicalAddress(7 * 65536 + 100), count: 200_000) == Array(memory[100..<200_100]))
  }

  /// As liblzo2's lzo1x_1_compress and libsnappy's snappy_compress gave it: 16 times 256 bytes of 0, 1, …
  @Test func pagesThatOthersCompressedAreInflated() throws {
    let wanted = (0..<4096).map { UInt8($0 / 256) }
    var codecs: [(String, [UInt8], UInt32)] = []
    #if LZO
      let lzo = hexBytes(
        "02000000000020da11000120de01000220de01000320de01000420de01000520de01000620de01000720de01000820de01000920de01000a20de"
          + "01000b20de01000c20de01000d20de01000e20de01000f20cb000000010f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f110000")
      codecs.append(("lzo", lzo, 2))
    #endif
    #if Snappy
      var snappy = hexBytes("80200000fe0100fe0100fe0100fa0100")
      for value in 1...15 as ClosedRange<UInt8> {
        snappy += hexBytes("00") + [value] + hexBytes("fe0100fe0100fe0100fa0100")
      }
      codecs.append(("snappy", snappy, 4))
    #endif
    for (name, bytes, flags) in codecs {
      let source = try opened(SyntheticKdump([9: .raw(bytes, flags: flags)]).bytes(), try Scratch())
      #expect(try source.bytes(at: PhysicalAddress(9 * 4096), count: 4096) == wanted)
      #expect(source.format == "kdump-\(name)")
    }
  }

  private func hexBytes(_ text: String) -> [UInt8] {
    let digits = Array(text)
    return stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0..<$0 + 2]), radix: 16) }
  }

  #if Zstd
    @Test func pagesInZstdAreInflated() throws {
      let source = try opened(SyntheticKdump([9: .zstd(page(9))]).bytes(), try Scratch())
      #expect(try source.bytes(at: PhysicalAddress(9 * 4096), count: 4096) == page(9))
      #expect(source.format == "kdump-zstd")
    }
  #endif

  @Test func aPartOfASetSaysThatItIsOne() throws {
    var kdump = mixed()
    kdump.part = 3..<65
    let source = try opened(kdump.bytes(), try Scratch())
    let texts = source.findings.map(\.description)
    #expect(texts.contains { $0.contains("one of several") && $0.contains("0x41") })
    #expect(try source.bytes(at: PhysicalAddress(64 * 4096), count: 4096) == page(64))
    #expect(throws: DumpError.self) { try source.bytes(at: PhysicalAddress(4096), count: 16) }
    let cut: [UInt64] = source.coverage().filter { $0.kind == .cut }.map { $0.range.start / 4096 }
    #expect(cut == [1, 70, 40_000])
  }

  /// makedumpfile --split of a small machine: the first file has all pages, the others end with their
  /// bitmaps.
  @Test func aPartWithoutPagesEndsWithItsBitmaps() throws {
    var kdump = mixed()
    kdump.part = 40_001..<40_001
    let file = try kdump.bytes()
    let source = try opened(Array(file[0..<kdump.descriptorOffset - 2 * 4096 + 40_001 / 8 + 1]), try Scratch())
    #expect(source.coverage().allSatisfy { $0.kind == .cut })
    #expect(source.findings.contains { $0.description.contains("one of several") })
  }

  @Test func anIncompleteFileSaysSoAndNamesWhatIsMissing() throws {
    var kdump = mixed()
    kdump.status = 8
    let source = try opened(kdump.bytes(), try Scratch())
    #expect(source.shortfall != nil)
    let texts = source.findings.map(\.description)
    #expect(texts.contains { $0.contains("incomplete") && $0.contains("1 pages") })
    let cut: [UInt64] = source.coverage().filter { $0.kind == .cut }.map { $0.range.start / 4096 }
    #expect(cut == [70])
  }

  @Test func everyPrefixIsOpenedOrRefusedAndNeverCalledWhole() throws {
    let scratch = try Scratch()
    let whole = try mixed().bytes()
    // The last page ends where the file does.
    for count in stride(from: 0, to: whole.count, by: 61) {
      guard let source = try? opened(Array(whole[0..<count]), scratch) else { continue }
      #expect(source.shortfall != nil, "\(count) of \(whole.count)")
      for piece in source.coverage() where piece.kind != .cut && piece.range.start != 70 * 4096 {
        #expect((try? source.bytes(at: PhysicalAddress(piece.range.start), count: Int(piece.range.count))) != nil)
      }
    }
  }

  /// A field that can't be is replaced by what the others say of the same thing, and named; all pages are
  /// read.
  @Test(
    arguments: [
      (0, Array("KDUMx".utf8), "the signature is damaged"), (8, [7, 0, 0, 0], "header version 7 is taken for 6"),
      (8, [0, 0, 0, 0], "header version 0"), (12 + 4 * 65 + 2, [0], "is taken for x86_64"),
      (428, [0, 0, 0, 0], "block_size is 0"), (428, [0, 0, 1, 0], "block_size is 65536"),
      (428, [255, 255, 255, 255], "block_size"), (432, [0, 0, 0, 0], "sub_hdr_size is 0x0: it is taken for 0x1"),
      (432, [255, 255, 255, 255], "sub_hdr_size"), (436, [255, 255, 255, 255], "bitmap_blocks"),
      (436, [0, 0, 0, 0], "bitmap_blocks is 0x0: it is taken for 0x4"), (436, [1, 0, 0, 0], "bitmap_blocks"),
      (4096 + 96, [255, 255, 255, 255, 255, 255, 255, 127], "max_mapnr is 0x7fffffffffffffff"),
      (4096 + 96, [0, 0, 0, 0, 0, 0, 1, 0], "max_mapnr is 0x1000000000000"), (4096 + 96, [9], "max_mapnr is 0x9c09"),
      (4096 + 12, [1, 0, 0, 0], "the file is taken for a whole one"),
    ] as [(Int, [UInt8], String)])
  func aDamagedFieldOfAHeaderCostsNothing(offset: Int, bytes: [UInt8], said: String) throws {
    var file = try mixed().bytes()
    file.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    let source = try opened(file, try Scratch())
    #expect(source.findings.contains { $0.description.contains(said) }, "\(source.findings)")
    for (frame, seed) in [(1, 1), (3, 3), (4, 4), (64, 64), (40_000, 5)] as [(UInt64, UInt64)] {
      #expect(try source.bytes(at: PhysicalAddress(frame * 4096), count: 4096) == page(seed))
    }
  }

  /// Nothing but the descriptors' number says of which page they are: one bit moves all that come after it.
  @Test func aWrongBitOfTheBitmapIsSeenByTheNumberOfDescriptors() throws {
    let scratch = try Scratch()
    let kdump = mixed()
    let whole = try kdump.bytes()
    #expect(try opened(whole, scratch).findings.isEmpty)
    let written = kdump.descriptorOffset - 2 * 4096
    for bit in [1 << 1, 1 << 5] as [UInt8] {
      var file = whole
      file[written] ^= bit
      let source = try opened(file, scratch)
      #expect(source.findings.contains { $0.description.contains("the bitmap of pages is damaged") }, "\(bit)")
    }
  }

  @Test func wildClaimsAreRefusedInOneLineAndAllocateNothing() throws {
    let scratch = try Scratch()
    let whole = try mixed().bytes()
    for (offset, bytes) in [(12 + 4 * 65, Array("s390x".utf8) + [0]), (0, Array("DISKDUMP".utf8))] {
      var file = whole
      file.replaceSubrange(offset..<offset + bytes.count, with: bytes)
      let error = #expect(throws: DumpError.self, "offset \(offset)") { try opened(file, scratch) }
      #expect(error?.description.contains("\n") == false)
    }
    // Notes are left out with a word; memory is still there.
    for offset in [4096 + 48, 4096 + 56] {
      var file = whole
      file.replaceSubrange(offset..<offset + 8, with: [255, 255, 255, 255, 255, 255, 255, 127])
      let source = try opened(file, scratch)
      #expect(source.findings.contains { $0.description.contains("notes") })
      #expect(try source.bytes(at: PhysicalAddress(4096), count: 4096) == page(1))
    }
  }

  /// Found by libFuzzer: where no descriptors stand the claim is all there is.
  @Test func aNumberOfFramesNextToTheLargestIsRefused() throws {
    let kdump = mixed()
    var file = try kdump.bytes()
    file.replaceSubrange(4096 + 96..<4096 + 104, with: [254, 255, 255, 255, 255, 255, 255, 255])
    let error = #expect(throws: DumpError.self) { try opened(Array(file[0..<kdump.descriptorOffset]), try Scratch()) }
    #expect(error?.description.contains("too few for two bitmaps") == true)
  }

  @Test func wildPageDescriptorsCostTheirOwnPageAlone() throws {
    let scratch = try Scratch()
    let kdump = mixed()
    let whole = try kdump.bytes()
    let first = kdump.descriptorOffset
    for bytes in [
      [255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 128, 1, 0, 0, 0],
      Array(whole[first..<first + 8]) + [255, 255, 255, 255], Array(whole[first..<first + 8]) + [0, 0, 0, 0],
      Array(whole[first..<first + 12]) + [3, 0, 0, 0], Array(whole[first..<first + 12]) + [0, 0, 0, 0],
      Array(whole[first..<first + 12]) + [0x20, 0, 0, 0], Array(whole[first..<first + 12]) + [2, 0, 0, 0],
      Array(whole[first..<first + 12]) + [4, 0, 0, 0],
    ] as [[UInt8]] {
      var file = whole
      file.replaceSubrange(first..<first + bytes.count, with: bytes)
      let source = try opened(file, scratch)
      #expect(throws: DumpError.self) { try source.bytes(at: PhysicalAddress(4096), count: 4096) }
      #expect(try source.bytes(at: PhysicalAddress(3 * 4096), count: 8192) == page(3) + page(4))
    }
  }

  @Test func aBitmapOfNothingButGapsIsBounded() throws {
    let scratch = try Scratch()
    var pages: [UInt64: SyntheticKdump.Page] = [:]
    for frame in 0..<3000 as Range<UInt64> where frame % 2 == 0 { pages[frame] = .raw([1], flags: 0x1000) }
    let source = try opened(SyntheticKdump(pages).bytes(), scratch)
    #expect(source.coverage().count == 1500)
  }

  /// Bitmaps of 128 GiB each, of which the file system has nothing but the ends: they are not read through.
  @Test func bitmapsOfHolesAreSkipped() throws {
    let scratch = try Scratch()
    let path = scratch.file("large")
    let frames: UInt64 = 1 << 40
    let half = frames / 8
    var header = KdumpHeader(
      MachineIdentity(.x86_64, .little), .fourKiB, names: ["Linux", "", "6.1.0", "", "x86_64", ""])
    header.bitmapBlocks = UInt32(2 * half / 4096)
    header.frames = .max
    var second = KdumpSubHeader()
    second.frames = frames
    #expect(FileManager.default.createFile(atPath: path, contents: nil))
    let file = try #require(FileHandle(forUpdatingAtPath: path))
    func write(_ bytes: [UInt8], at offset: UInt64) throws {
      try file.seek(toOffset: offset)
      try file.write(contentsOf: Data(bytes))
    }
    try write(header.encoded(), at: 0)
    try write(second.encoded(.little), at: 4096)
    for bitmap in [8192, 8192 + half] {
      try write([2], at: bitmap)
      try write([0x80], at: bitmap + half - 1)
    }
    var descriptors = ByteWriter()
    let data = 8192 + 2 * half + 48
    for index in 0..<2 as Range<UInt64> {
      KdumpPageDescriptor(offset: data + index * 4096, count: 4096, flags: 0).append(to: &descriptors)
    }
    try write(descriptors.bytes + page(1) + page(2), at: 8192 + 2 * half)
    try file.close()
    let source = try openDump(path)
    #expect(source.coverage().map(\.range.start) == [4096, (frames - 1) * 4096])
    #expect(try source.bytes(at: PhysicalAddress((frames - 1) * 4096), count: 4096) == page(2))
  }

  @Test func thousandsOfRandomMutationsNeverTrap() throws {
    let scratch = try Scratch()
    let kdump = mixed()
    let whole = try kdump.bytes()
    let path = scratch.file("mutated")
    var answered = 0
    for seed in 0..<4000 as Range<UInt64> {
      var file = whole
      let random = noise(40, seed: seed &+ 0xd1)
      // Headers, bitmaps and descriptors, each as often; now and then the end is cut off.
      for index in 0...Int(seed % 4) {
        let place = Int(random[8 * index]) << 16 | Int(random[8 * index + 1]) << 8 | Int(random[8 * index + 2])
        let offset =
          switch random[8 * index + 3] % 4 {
          case 0: place % 464
          case 1: 4096 + place % 104
          case 2: place % file.count
          default: kdump.descriptorOffset + place % (7 * 24)
          }
        file[min(file.count - 1, offset)] = random[8 * index + 4]
      }
      if seed % 7 == 0 { file.removeLast(Int(random[39]) << 4 % file.count) }
      try Data(file).write(to: URL(fileURLWithPath: path))
      guard let source = try? openDump(path) else { continue }
      answered += 1
      for piece in source.coverage().prefix(20) {
        _ = try? source.bytes(at: PhysicalAddress(piece.range.start), count: Int(min(piece.range.count, 1 << 16)))
      }
    }
    #expect(answered > 1000)
  }
#endif
