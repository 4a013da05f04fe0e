#if Zstd
  import DumpBasics
  import TestSupport
  import Testing

  @testable import CoreEncoding

  private func frame(_ input: [UInt8]) throws -> [UInt8] {
    let compressor = try ZstdCompressor()
    var output = [UInt8](repeating: 0, count: ZstdCompressor.bound(input.count))
    let count = input.withUnsafeBytes { input in output.withUnsafeMutableBytes { compressor.frame(input, into: $0) } }
    return Array(output[0..<(try #require(count))])
  }

  private func inflate(_ frame: [UInt8], _ count: Int) throws -> [UInt8] {
    let inflater = try ZstdInflater()
    var output = [UInt8](repeating: 0, count: count)
    var failure: DumpError?
    frame.withUnsafeBytes { frame in
      output.withUnsafeMutableBytes { output in
        do throws(DumpError) { try inflater.inflate(frame, into: output, at: "t") } catch { failure = error }
      }
    }
    if let failure { throw failure }
    return output
  }

  private func mixed(_ count: Int) -> [UInt8] {
    Array((noise(count / 2, seed: 3) + [UInt8](repeating: 0, count: count)).prefix(count))
  }

  /// Goes by block headers as a reader does; nil when they do not end at the end.
  private func walkedSize(_ bytes: [UInt8]) -> Int? {
    guard let header = ZstdFrame(bytes) else { return nil }
    var position = header.headerSize
    while position + 3 <= bytes.count, let block = ZstdFrame.block(Array(bytes[position..<position + 3])) {
      position += 3 + Int(block.size)
      if block.isLast { return position + (header.hasChecksum ? 4 : 0) }
    }
    return nil
  }

  @Test(arguments: [0, 1, 255, 256, 300, 65_791, 65_792, 300_000, DumpTrailer.groupSize])
  func aFrameSaysWhatItHoldsAndComesBack(count: Int) throws {
    let input = mixed(count)
    let bytes = try frame(input)
    let header = try #require(ZstdFrame(bytes))
    #expect(header.contentSize == UInt64(count))
    #expect(header.hasChecksum && !header.needsDictionary && header.skippedSize == nil)
    #expect(walkedSize(bytes) == bytes.count)
    #expect(try inflate(bytes, count) == input)
    #expect(throws: DumpError.self) { try inflate(bytes, count + 1) }
  }

  @Test func aFlippedBitAnywhereInAFrameIsFound() throws {
    let input = Array("kernel panic ".utf8) + noise(300, seed: 3) + [UInt8](repeating: 0, count: 500)
    let bytes = try frame(input)
    for bit in 0..<bytes.count * 8 {
      var damaged = bytes
      damaged[bit / 8] ^= 1 << (bit % 8)
      if let output = try? inflate(damaged, input.count) { #expect(output == input, "bit \(bit)") }
    }
  }

  @Test func aStoredFrameHasTheSizeThatIsPromised() throws {
    let content = noise(DumpFooter.size, seed: 9)
    let bytes = ZstdFrame.stored(content)
    #expect(bytes.count == ZstdFrame.storedSize(DumpFooter.size))
    #expect(bytes.count == 73)
    #expect(walkedSize(bytes) == 73)
    #expect(try inflate(bytes, DumpFooter.size) == content)
  }

  @Test func aSeekTableComesBackAndNothingElsePassesForOne() throws {
    for entries in [[], [(1, 2)], [(70_000, 983_040), (73, 64), (0xffff_ffff, 0)]] as [[(UInt32, UInt32)]] {
      let table = ZstdSeekTable(entries.map { .init(compressed: $0.0, content: $0.1) })
      let bytes = table.encoded()
      #expect(ZstdSeekTable.frameSize(Array(bytes.suffix(9))) == UInt64(bytes.count))
      #expect(ZstdSeekTable(bytes) == table)
      #expect(ZstdFrame(bytes)?.skippedSize == UInt64(bytes.count - 8))
      for count in 0..<bytes.count { #expect(ZstdSeekTable(Array(bytes[0..<count])) == nil) }
    }
    // With checksums, as other writers make them: 12 bytes an entry.
    var writer = ByteWriter(.little)
    for word in [0x184d_2a5e, 21, 500, 1000, 0xdead_beef, 1] as [UInt32] { writer.u32(word) }
    writer.u8(0x80)
    writer.u32(0x8f92_eab1)
    #expect(ZstdSeekTable(writer.bytes)?.entries == [.init(compressed: 500, content: 1000)])
  }

  @Test func noBytesMakeTheHeaderParserTrap() {
    for seed in 0..<2000 as Range<UInt64> {
      var bytes = noise(Int(seed % 20), seed: seed)
      let magic: [UInt8] = seed % 2 == 0 ? [0x28, 0xb5, 0x2f, 0xfd] : [0x50, 0x2a, 0x4d, 0x18]
      for index in 0..<min(4, bytes.count) { bytes[index] = magic[index] }
      if let frame = ZstdFrame(bytes) { #expect(frame.headerSize <= ZstdFrame.longestHeader) }
      _ = ZstdSeekTable(bytes)
      _ = ZstdFrame.block(bytes)
    }
  }
#endif
