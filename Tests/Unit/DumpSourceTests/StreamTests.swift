#if Streams
  import CoreEncoding
  import DumpBasics
  import Foundation
  import LinuxSystem
  import Synchronization
  import TestSupport
  import Testing

  @testable import DumpSource

  /// Runs a shell command; false where a program of it is not here.
  private func shell(_ command: String) throws -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", command]
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus == 0
  }

  private func core() -> SyntheticCore {
    let text = (0..<60_000).flatMap { Array("line \($0 % 977) of the log\n".utf8) }
    return SyntheticCore([
      .init(0x10_0000, noise(700_000, seed: 4) + [UInt8](repeating: 0, count: 3 << 20) + text),
      .init(0x400_0000, noise(300_000, seed: 5)),
    ])
  }

  private func expectWhole(_ source: any DumpSource) throws {
    for segment in core().segments {
      #expect(try source.bytes(at: PhysicalAddress(segment.physical), count: segment.bytes.count) == segment.bytes)
    }
  }

  private func written(_ scratch: Scratch) throws -> String {
    let path = scratch.file("core")
    try core().write(to: path)
    return path
  }

  @Suite(.serialized) struct StreamTests {
    /// One member; several; many small ones; fast and best.
    @Test(arguments: [
      "gzip -c", "gzip -1 -c", "gzip -9 -n -c", "(head -c 1000000 | gzip; tail -c +1000001 core | gzip) <",
      "split -b 30000 --filter=gzip",
    ])
    func gzipOfAnyKindIsReadAtAnyOffset(command: String) throws {
      let scratch = try Scratch()
      let path = try written(scratch)
      #expect(try shell("cd '\(scratch.path)' && \(command) core >core.gz"))
      let source = try openDump(path + ".gz")
      #expect(source.format == "gzip")
      #expect(source.findings.isEmpty)
      #expect(source.isCompressed)
      try expectWhole(source)
      // Backwards, in small pieces, from several threads.
      let whole = core().segments[0].bytes
      let bad = Mutex(0)
      DispatchQueue.concurrentPerform(iterations: 200) { index in
        let offset = (199 - index) * (whole.count / 200)
        let found = try? source.bytes(at: PhysicalAddress(0x10_0000 + UInt64(offset)), count: 3000)
        if found != Array(whole[offset..<offset + 3000]) { bad.withLock { $0 += 1 } }
      }
      #expect(bad.withLock { $0 } == 0)
    }

    /// With very few places they get further apart, and every byte can still be had.
    @Test func thePlacesAreBounded() throws {
      let scratch = try Scratch()
      let path = try written(scratch)
      for command in ["gzip -c core", "split -b 20000 --filter=gzip core"] {
        #expect(try shell("cd '\(scratch.path)' && \(command) >core.gz"))
        let many = try GzipIndex(File(path + ".gz", .read), spacing: 1 << 16)
        let few = try GzipIndex(File(path + ".gz", .read), spacing: 1 << 16, limit: 8)
        #expect(many.places.count > 12)
        #expect((4...8).contains(few.places.count))
        #expect(few.places.allSatisfy { ($0.window?.count ?? 0) <= 32 << 10 })
        let content = try GzipContent(File(path + ".gz", .read), spacing: 1 << 16, limit: 8)
        let wanted = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        #expect(content.size == UInt64(wanted.count))
        for offset in stride(from: wanted.count - 5000, to: 0, by: -170_001) {
          #expect(try content.bytes(at: UInt64(offset), count: 5000) == Array(wanted[offset..<offset + 5000]))
        }
        #expect(try content.bytes(at: 0, count: wanted.count) == wanted)
      }
    }

    @Test func cutAndDamagedGzipGivesWhatIsBeforeIt() throws {
      let scratch = try Scratch()
      let path = try written(scratch)
      #expect(try shell("gzip -c '\(path)' >'\(path).gz'"))
      let packed = Array(try Data(contentsOf: URL(fileURLWithPath: path + ".gz")))
      try Data(packed[..<(packed.count / 2)]).write(to: URL(fileURLWithPath: path + ".gz"))
      let cut = try openDump(path + ".gz")
      #expect(cut.shortfall != nil)
      #expect(cut.findings.contains { $0.description.contains("cut in a gzip member") })
      let first = core().segments[0].bytes
      #expect(try cut.bytes(at: PhysicalAddress(0x10_0000), count: 300_000) == Array(first[..<300_000]))

      // The content is all there, and its checksum says that it is not what was compressed.
      var damaged = packed
      damaged[packed.count - 8] ^= 1
      try Data(damaged).write(to: URL(fileURLWithPath: path + ".gz"))
      let wrong = try openDump(path + ".gz")
      #expect(wrong.findings.contains { $0.description.contains("incorrect data check") })
      #expect((wrong as? ELFSource)?.isCorrupt == true)
      // Something behind it.
      try Data(packed + Array("abc".utf8)).write(to: URL(fileURLWithPath: path + ".gz"))
      let more = try openDump(path + ".gz")
      #expect(more.findings.contains { $0.description.contains("3 bytes behind the end") })
      try expectWhole(more)
    }

    /// Any byte of it changed: it is read or refused.
    @Test func damagedGzipNeverTraps() throws {
      let scratch = try Scratch()
      let path = scratch.file("core")
      try SyntheticCore([.init(0x10_0000, noise(3000, seed: 4)), .init(0x20_0000, noise(3000, seed: 5))]).write(to: path)
      #expect(try shell("gzip -c '\(path)' >'\(path).gz'"))
      let packed = Array(try Data(contentsOf: URL(fileURLWithPath: path + ".gz")))
      for offset in stride(from: 2, to: packed.count, by: 7) {
        var bytes = packed
        bytes[offset] ^= 0x55
        try Data(bytes).write(to: URL(fileURLWithPath: path + ".gz"))
        guard let source = try? openDump(path + ".gz") else { continue }
        for piece in source.coverage() where piece.kind != .cut {
          _ = try? source.bytes(at: PhysicalAddress(piece.range.start), count: Int(min(piece.range.count, 4096)))
        }
      }
    }

    #if Kdump
      @Test func flattenedAndKdumpInGzipAreRead() throws {
        let scratch = try Scratch()
        let kdump = try SyntheticKdump([7: .zlib(noise(4096, seed: 7)), 9: .plain(noise(4096, seed: 9))]).bytes()
        for (name, bytes) in [("kdump", kdump), ("flat", SyntheticKdump.flattened(kdump, pieces: 3000))] {
          try Data(bytes).write(to: URL(fileURLWithPath: scratch.file(name)))
          #expect(try shell("gzip -f '\(scratch.file(name))'"))
          let source = try openDump(scratch.file(name + ".gz"))
          #expect(try source.bytes(at: PhysicalAddress(9 * 4096), count: 4096) == noise(4096, seed: 9))
        }
      }
    #endif

    #if Zstd
      private func large(_ scratch: Scratch) throws -> [UInt8] {
        let memory = noise(9 << 20, seed: 3) + [UInt8](repeating: 0, count: 9 << 20)
        try SyntheticCore([.init(0x10_0000, memory), .init(0x1000_0000, noise(5000, seed: 8))]).write(to: scratch.file("core"))
        return memory
      }

      @Test(arguments: ["zstd -q -c core", "zstd -q -c <core", "(zstd -q -c core; printf abcd | zstd -q -c)"])
      func zstdInOneFrameIsUnpackedOnce(command: String) throws {
        let scratch = try Scratch()
        let memory = try large(scratch)
        guard try shell("cd '\(scratch.path)' && \(command) >core.zst") else { return }
        let source = try openDump(scratch.file("core.zst"))
        #expect(source.format == "zstd")
        #expect(source.findings.isEmpty)
        #expect(try source.bytes(at: PhysicalAddress(0x10_0000), count: memory.count) == memory)
        #expect(try source.bytes(at: PhysicalAddress(0x1000_0000), count: 5000) == noise(5000, seed: 8))
      }

      @Test func withoutRoomItIsRefusedAndNothingIsLeft() throws {
        let scratch = try Scratch()
        _ = try large(scratch)
        guard try shell("cd '\(scratch.path)' && zstd -q core && zstd -q -c <core >unsized.zst") else { return }
        for name in ["core.zst", "unsized.zst"] {
          let error = #expect(throws: DumpError.self) { try UnpackedZstd(File(scratch.file(name), .read), room: 8 << 20) }
          #expect(error?.kind == .full)
          #expect(error?.description.contains("TMPDIR") == true)
        }
      }

      @Test func cutAndDamagedZstdGivesWhatIsBeforeIt() throws {
        let scratch = try Scratch()
        let memory = try large(scratch)
        guard try shell("cd '\(scratch.path)' && zstd -q core") else { return }
        let path = scratch.file("core.zst")
        let packed = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        try Data(packed[..<(packed.count / 2)]).write(to: URL(fileURLWithPath: path))
        let cut = try openDump(path)
        #expect(cut.shortfall != nil)
        #expect(cut.findings.contains { $0.description.contains("cut in a zstd frame") })
        #expect(try cut.bytes(at: PhysicalAddress(0x10_0000), count: 4 << 20) == Array(memory[..<(4 << 20)]))
        var damaged = packed
        damaged[packed.count - 1] ^= 1
        try Data(damaged).write(to: URL(fileURLWithPath: path))
        #expect(try openDump(path).findings.contains { $0.description.contains("damaged zstd") })
      }
    #endif
  }
#endif
