#if Kdump
  import CoreEncoding
  import DumpBasics
  import DumpSource
  import Foundation
  import TestSupport
  import Testing

  private func page(_ seed: UInt64) -> [UInt8] { noise(1024, seed: seed) + [UInt8](repeating: UInt8(seed), count: 3072) }

  /// Pages 1 to 8 and 40,000, of which 5 was left out, in three parts.
  private func parts(_ change: (Int, inout SyntheticKdump) -> Void = { _, _ in }) throws -> (Scratch, [String]) {
    let scratch = try Scratch()
    var paths: [String] = []
    for (number, part) in [0..<3, 3..<7, 7..<40_001].enumerated() as EnumeratedSequence<[Range<UInt64>]> {
      var kdump = SyntheticKdump([40_000: .plain(page(40))])
      for frame in 1...8 as ClosedRange<UInt64> { kdump.pages[frame] = frame == 5 ? .leftOut : .zlib(page(frame)) }
      kdump.part = part
      change(number, &kdump)
      paths.append(scratch.file("part\(number)"))
      try kdump.write(to: paths[number])
    }
    return (scratch, paths)
  }

  private func frames(_ source: any DumpSource, _ kinds: (Coverage.Kind) -> Bool) -> [UInt64] {
    source.coverage().filter { kinds($0.kind) }.flatMap { Array($0.range.start / 4096..<$0.range.end / 4096) }
  }

  private func isCut(_ kind: Coverage.Kind) -> Bool { kind == .cut }

  @Test func partsInAnyOrderAreOneDump() throws {
    let (scratch, paths) = try parts()
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
      let source = try openDump(order.map { paths[$0] })
      #expect(source.findings.isEmpty)
      #expect(source.shortfall == nil)
      #expect(source.format == "kdump-zlib")
      #expect(frames(source) { !isCut($0) } == [1, 2, 3, 4, 6, 7, 8, 40_000])
      for frame in [1, 2, 3, 4, 6, 7, 8] as [UInt64] {
        #expect(try source.bytes(at: PhysicalAddress(frame * 4096), count: 4096) == page(frame))
      }
      // Across the border of two parts.
      let across = Array((page(6) + page(7))[4000..<4200])
      #expect(try source.bytes(at: PhysicalAddress(6 * 4096 + 4000), count: 200) == across)
      #expect(source.leftOut.map { $0.range.start / 4096 } == [5])
      #expect(source.notes.map(\.name) == ["CORE", "VMCOREINFO"])
    }
    _ = scratch
  }

  @Test func aMissingPartIsNamedByItsFramesAndNeverZeros() throws {
    let (scratch, paths) = try parts()
    for (missing, range, pages, lost) in [
      (0, "pfn 0x0 to 0x3", "2 pages", [1, 2]), (1, "pfn 0x3 to 0x7", "3 pages", [3, 4, 6]),
      (2, "pfn 0x7 to 0x9c41", "3 pages", [7, 8, 40_000]),
    ] as [(Int, String, String, [UInt64])] {
      let source = try openDump(paths.indices.filter { $0 != missing }.map { paths[$0] })
      #expect(source.findings.count == 1)
      #expect(source.findings.first?.description.contains(range) == true)
      #expect(source.findings.first?.description.contains(pages) == true)
      #expect(source.shortfall != nil)
      #expect(frames(source, isCut) == lost)
      for frame in lost {
        let error = #expect(throws: DumpError.self) { try source.bytes(at: PhysicalAddress(frame * 4096), count: 16) }
        #expect(error?.description.contains("a part that is missing") == true)
      }
      let other = #expect(throws: DumpError.self) { try source.bytes(at: PhysicalAddress(5 * 4096), count: 16) }
      #expect(other?.description.contains("not in the dump") == true || lost.contains(4))
    }
    _ = scratch
  }

  /// makedumpfile splits at blocks of 1 GiB: of a machine with less, all parts but one have no page, and their
  /// bitmaps have more bits than max_mapnr.
  @Test func partsWithoutPagesBelongToTheSet() throws {
    let scratch = try Scratch()
    var paths: [String] = []
    for (number, part) in [0..<9, 9..<9, 9..<9].enumerated() as EnumeratedSequence<[Range<UInt64>]> {
      var kdump = SyntheticKdump([:])
      for frame in 1...8 as ClosedRange<UInt64> { kdump.pages[frame] = .zlib(page(frame)) }
      kdump.part = part
      paths.append(scratch.file("part\(number)"))
      try kdump.write(to: paths[number])
    }
    for order in [[0, 1, 2], [2, 1, 0]] {
      let source = try openDump(order.map { paths[$0] })
      #expect(source.findings == [])
      #expect(source.shortfall == nil)
      #expect(frames(source) { !isCut($0) } == Array(1...8))
    }
  }

  @Test func whatIsNoPartOfTheSetIsRefusedByName() throws {
    func refused(_ paths: [String], _ words: String) {
      let error = #expect(throws: DumpError.self) { try openDump(paths) }
      #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }
    let (scratch, paths) = try parts()
    refused([paths[0], paths[1], paths[0]], "two of the files")
    let core = scratch.file("core")
    try SyntheticCore([.init(0x10_0000, noise(8192, seed: 1)), .init(0x20_0000, noise(8192, seed: 1))]).write(to: core)
    refused([paths[0], core], "no part of a set")
    let (second, whole) = try parts { $1.part = nil }
    refused([paths[0], whole[1]], "no part of a set")
    let (third, others) = try parts { $1.pages[9] = .plain(page(9)) }
    refused([paths[0], others[1]], "its bitmaps are others")
    let (fourth, times) = try parts {
      if $0 == 1 { $1.tamper = { $0[408] ^= 1 } }
    }
    refused(times, "another crash")
    let (fifth, names) = try parts {
      if $0 == 2 { $1.tamper = { $0[12 + 65] ^= 1 } }
    }
    refused(names, "its kernel")
    #expect(throws: DumpError.self) { try openDump([String]()) }
    _ = (second, third, fourth, fifth)
  }

  @Test func aPartThatIsCutLosesItsOwnPages() throws {
    let (scratch, paths) = try parts()
    let bytes = try Data(contentsOf: URL(fileURLWithPath: paths[1]))
    try bytes.dropLast(200).write(to: URL(fileURLWithPath: paths[1]))
    let source = try openDump(paths)
    #expect(source.shortfall != nil)
    #expect(frames(source, isCut) == [6])
    #expect(try source.bytes(at: PhysicalAddress(7 * 4096), count: 4096) == page(7))
    #expect(throws: DumpError.self) { try source.bytes(at: PhysicalAddress(6 * 4096), count: 4096) }
    _ = scratch
  }
#endif
