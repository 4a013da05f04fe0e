#if Zstd
  import Capture
  import CoreEncoding
  import DumpBasics
  import DumpSource
  import Foundation
  import TestSupport
  import Testing

  /// Noise, zeros and repeated pages, enough for several frames.
  private func machine() -> SyntheticCore {
    let page = noise(4096, seed: 8)
    let mixed = noise(2_000_000, seed: 5) + [UInt8](repeating: 0, count: 5 << 20) + (0..<300).flatMap { _ in page }
    return SyntheticCore([
      .init(0x200_0000, virtual: 0xffff_ffff_8100_0000, noise(300 * 4096, seed: 3)), .init(0x10_0000, mixed),
    ])
  }

  private func contents(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

  private func write(_ data: some DataProtocol, _ path: String) throws {
    try Data(data).write(to: URL(fileURLWithPath: path))
  }

  private func saved(_ scratch: Scratch, threads: Int = 2) throws -> String {
    let (input, out) = (scratch.file("input"), scratch.file("out-\(threads).zst"))
    try machine().write(to: input)
    var request = SaveRequest(source: input, targets: [out], level: .all)
    request.format = .elfZstd
    request.threads = threads
    _ = try save(request, QuietReporter())
    return out
  }

  /// Every byte that `machine` has is in the dump.
  private func expectWhole(_ path: String) throws {
    let source = try openDump(path)
    for segment in machine().segments {
      #expect(try source.bytes(at: PhysicalAddress(segment.physical), count: segment.bytes.count) == segment.bytes)
    }
  }

  /// Runs `zstd` on a file, or says that it is not here.
  private func zstd(_ words: [String]) throws -> Int32? {
    guard FileManager.default.isExecutableFile(atPath: "/usr/bin/zstd") else { return nil }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/zstd")
    process.arguments = ["-q", "-f"] + words
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
  }

  @Test func anElfZstDumpComesBackWholeAndIsVerified() throws {
    let scratch = try Scratch()
    let path = try saved(scratch)
    try expectWhole(path)
    #expect(try verify(path, threads: 2, QuietReporter()).verdict == .whole)
    #expect(try info(path, json: true).contains("\"elf.zst\""))
    for threads in [1, 3, 8] { #expect(try contents(saved(scratch, threads: threads)) == contents(path)) }
  }

  @Test func convertingBetweenAllFormatsGivesTheSameBytes() throws {
    let scratch = try Scratch()
    let first = try saved(scratch)
    let (plain, gzip, second, again) = (scratch.file("p"), scratch.file("g"), scratch.file("z"), scratch.file("p2"))
    _ = try convert(first, to: gzip, format: .elfGzip, threads: 2, QuietReporter())
    _ = try convert(gzip, to: plain, format: .elf, threads: 1, QuietReporter())
    _ = try convert(plain, to: second, format: .elfZstd, threads: 2, QuietReporter())
    _ = try convert(first, to: again, format: .elf, threads: 2, QuietReporter())
    #expect(try contents(first) == contents(second))
    #expect(try contents(plain) == contents(again))
  }

  @Test func zstdItselfInflatesWhatWeWrite() throws {
    let scratch = try Scratch()
    let path = try saved(scratch)
    guard let status = try zstd(["-d", path, "-o", scratch.file("plain")]) else { return }
    #expect(status == 0)
    // The plain file that zstd makes is ours, but for the compressed offsets in trailer and footer: memory is
    // all there.
    try expectWhole(scratch.file("plain"))
  }

  @Test func everyPrefixKeepsWhatIsWholeInItAndNothingTraps() throws {
    let scratch = try Scratch()
    let whole = try contents(try saved(scratch))
    let path = scratch.file("cut")
    var lengths = Array(stride(from: 0, to: whole.count, by: whole.count / 60)) + (1...120).map { whole.count - $0 }
    lengths += (0..<40).map { 1 << $0 / 2 }.filter { $0 < whole.count }
    var before: UInt64 = 0
    for length in lengths.sorted() {
      try write(whole.prefix(length), path)
      guard let source = try? openDump(path) as? ELFSource else { continue }
      #expect(source.contentSize >= before)
      before = source.contentSize
      #expect(!source.findings.isEmpty)
      #expect(try verify(path, threads: 1, QuietReporter()).verdict == .incomplete)
      for piece in source.coverage() where piece.kind != .cut {
        let count = min(Int(piece.range.count), 5000)
        #expect(try source.bytes(at: PhysicalAddress(piece.range.end - UInt64(count)), count: count).count == count)
      }
    }
    // Only the seek table is missing here: all of the dump is there.
    #expect(before > 0)
    try expectWhole(path)
  }

  @Test func aFlippedBitIsFoundOrHarmless() throws {
    let scratch = try Scratch()
    let whole = try contents(try saved(scratch))
    let path = scratch.file("damaged")
    let tail = (0..<200).map { whole.count - 1 - $0 }
    for position in Array(stride(from: 0, to: whole.count, by: whole.count / 100)) + tail {
      var damaged = whole
      damaged[position] ^= UInt8(1 << (position % 8))
      try write(damaged, path)
      guard let result = try? verify(path, threads: 1, QuietReporter()) else { continue }
      if result.verdict == .whole { try expectWhole(path) }
    }
  }

  @Test func aSmallFileOfZstdIsReadByWalking() throws {
    let scratch = try Scratch()
    let (core, packed) = (scratch.file("core"), scratch.file("core.zst"))
    try machine().write(to: core)
    guard let status = try zstd([core, "-o", packed]) else { return }
    #expect(status == 0)
    try expectWhole(packed)
  }

  #if !Streams
    @Test func aLargeFrameIsRefusedClearly() throws {
      let scratch = try Scratch()
      let (core, packed) = (scratch.file("core"), scratch.file("core.zst"))
      try SyntheticCore([.init(0x10_0000, [UInt8](repeating: 7, count: 20 << 20))]).write(to: core)
      guard try zstd([core, "-o", packed]) == 0 else { return }
      do {
        _ = try openDump(packed)
        Issue.record("a frame of 20 MiB was opened")
      } catch {
        #expect(error.description.contains("zstd -d"))
      }
    }
  #endif
#endif
