#if Kdump
  import CoreEncoding
  import DumpBasics
  import DumpSource
  import Foundation
  import TestSupport
  import Testing

  private func opened(_ file: [UInt8], _ scratch: Scratch) throws -> any DumpSource {
    let path = scratch.file("flattened-\(UUID().uuidString)")
    try Data(file).write(to: URL(fileURLWithPath: path))
    return try openDump(path)
  }

  private let memory = noise(70_000, seed: 1)
  private func core() throws -> [UInt8] { try SyntheticCore([.init(0x1000, memory), .init(0x100_0000, memory)]).bytes() }

  @Test(arguments: [16, 1000, 4096, 1 << 20])
  func aFlattenedElfReadsLikeTheFileInIt(size: Int) throws {
    let source = try opened(SyntheticKdump.flattened(try core(), pieces: size), try Scratch())
    #expect(try source.bytes(at: PhysicalAddress(0x1000), count: memory.count) == memory)
    #expect(try source.bytes(at: PhysicalAddress(0x100_0000), count: memory.count) == memory)
    #expect(source.findings.isEmpty)
  }

  @Test func aFlattenedKdumpReadsLikeTheFileInIt() throws {
    let file = try SyntheticKdump([5: .zlib(Array(memory[0..<4096])), 6: .plain(Array(memory[4096..<8192]))]).bytes()
    let source = try opened(SyntheticKdump.flattened(file, pieces: 700), try Scratch())
    #expect(try source.bytes(at: PhysicalAddress(5 * 4096), count: 8192) == Array(memory[0..<8192]))
  }

  @Test func whatIsWrittenLaterCountsAndWhatNobodyWroteIsZeros() throws {
    let file = try core()
    var flat = Array("makedumpfile".utf8) + [UInt8](repeating: 0, count: 4084)
    func add(_ offset: Int, _ bytes: [UInt8]) { flat += SyntheticKdump.record(UInt64(offset), UInt64(bytes.count)) + bytes }
    // Wrong at first, mended later in pieces that overlap; the memory comes before the headers.
    add(4096, Array(file[4096...]))
    add(0, [UInt8](repeating: 0xee, count: 6000))
    add(5000, Array(file[5000..<9000]))
    add(0, Array(file[0..<5500]))
    add(file.count + 100_000, [1])
    flat += SyntheticKdump.record(.max, .max)
    let source = try opened(flat, try Scratch())
    #expect(try source.bytes(at: PhysicalAddress(0x1000), count: memory.count) == memory)
    #expect(source.notes.count == 2)
  }

  @Test func everyPrefixOfAFlattenedFileIsOpenedWithAWordOrRefused() throws {
    let scratch = try Scratch()
    let whole = SyntheticKdump.flattened(try core(), pieces: 5000)
    for count in stride(from: 0, to: whole.count, by: 211) {
      guard let source = try? opened(Array(whole[0..<count]), scratch) else { continue }
      #expect(source.findings.contains { $0.description.contains("cut") }, "\(count) of \(whole.count)")
    }
  }

  /// The descriptors stand in the file when it is cut in its pages: what has no data is missing, not damaged.
  @Test func pagesBehindTheCutAreMissing() throws {
    let scratch = try Scratch()
    var kdump = SyntheticKdump([:])
    for frame in 1...40 as ClosedRange<UInt64> { kdump.pages[frame] = .zlib(noise(4096, seed: frame)) }
    let file = try kdump.bytes()
    let table = kdump.descriptorOffset + 40 * KdumpPageDescriptor.size
    func cut(_ pieces: [Range<Int>]) throws -> any DumpSource {
      var flat = Array(SyntheticKdump.flattened([], pieces: 1).prefix(4096))
      for piece in pieces {
        flat += SyntheticKdump.record(UInt64(piece.lowerBound), UInt64(piece.count)) + file[piece]
      }
      return try opened(flat, scratch)
    }
    func frames(_ source: any DumpSource, isThere: Bool) -> [UInt64] {
      source.coverage().filter { ($0.kind != .cut) == isThere }.flatMap { Array($0.range.start / 4096..<$0.range.end / 4096) }
    }
    // The second half of the descriptors was not written yet.
    let half = try cut([0..<kdump.descriptorOffset + 20 * KdumpPageDescriptor.size, table..<file.count])
    #expect(half.shortfall != nil)
    #expect(frames(half, isThere: true) == Array(1...20))
    #expect(frames(half, isThere: false) == Array(21...40))
    #expect(half.findings.contains { $0.what.contains("20 pages are missing") })
    for frame in 1...20 as ClosedRange<UInt64> {
      #expect(try half.bytes(at: PhysicalAddress(frame * 4096), count: 4096) == noise(4096, seed: frame))
    }
    // Only the mark of the end is not there.
    let whole = try cut([0..<file.count])
    #expect(whole.shortfall == nil)
    #expect(whole.findings.count == 1)
    #expect(frames(whole, isThere: true) == Array(1...40))
  }

  @Test func wildPiecesNeverTrap() throws {
    let scratch = try Scratch()
    let whole = SyntheticKdump.flattened(try core(), pieces: 5000)
    for seed in 0..<1000 as Range<UInt64> {
      var file = whole
      let random = noise(4, seed: seed)
      let record = 4096 + Int(random[0] % 29) * 5016
      file[record + Int(random[1] % 16)] = random[2]
      guard let source = try? opened(file, scratch) else { continue }
      for piece in source.coverage().prefix(4) { _ = try? source.bytes(at: PhysicalAddress(piece.range.start), count: 4096) }
    }
    for (offset, count) in [(UInt64.max - 1, 1), (0, .max), (.max >> 1, 16), (.max >> 1, .max >> 1)] as [(UInt64, UInt64)] {
      let flat = Array(whole[0..<4096]) + SyntheticKdump.record(offset, count) + memory
      #expect(throws: DumpError.self) { try opened(flat, scratch) }
    }
  }
#endif
