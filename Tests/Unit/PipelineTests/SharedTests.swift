import CoreEncoding
import CoreFormat
import DumpBasics
import DumpPlan
import DumpSource
import DumpTarget
import PageSelection
import Pipeline
import TestSupport
import Testing
import Workers

private let page = 4096

/// Opens a core made of these segments.
private func opened(_ segments: [SyntheticCore.Segment], _ scratch: Scratch) throws -> any DumpSource {
  let path = scratch.file("core")
  try SyntheticCore(segments).write(to: path)
  return try openDump(path)
}

private func scan(
  _ source: any DumpSource, kept: [KeptRun]? = nil, threads: Int = 2, memoryLimit: UInt64 = SharedScan.memoryLimit
) throws -> [SharedRange] {
  let work = OrderedWork(threads: threads)
  let kept = kept ?? PageSelection(.all, source, witnesses: [], pageSize: .fourKiB).kept
  let zeros = try ZeroScan(kept.map(\.range), source, .fourKiB, work) { _ in }
  return try SharedScan(kept, zeros: zeros, source, .fourKiB, work, memoryLimit: memoryLimit) { _, _ in }.runs
}

private func range(_ start: Int, pages: Int) -> PhysicalRange? {
  PhysicalRange(start: UInt64(start), count: UInt64(pages * page))
}

private func zeros(_ pages: Int) -> [UInt8] { [UInt8](repeating: 0, count: pages * page) }

@Suite struct RunsWithTheSameContent {
  private let file = noise(60 * page, seed: 4)

  @Test func aFileThatIsInMemoryTwiceIsFoundWhole() throws {
    let source = try opened(
      [
        .init(0x10_0000, noise(7 * page, seed: 1) + file + noise(5 * page, seed: 2)),
        .init(0x100_0000, noise(3 * page, seed: 3) + file),
      ],
      Scratch())
    let copy = try #require(range(0x100_3000, pages: 60))
    #expect(try scan(source) == [SharedRange(copy, original: PhysicalAddress(0x10_7000))])
    #expect(try scan(source, threads: 1) == scan(source, threads: 5))
  }

  @Test func whatStandsEarlierInTheFileIsTheOriginal() throws {
    let source = try opened([.init(0x10_0000, file), .init(0x100_0000, file)], Scratch())
    let (low, high) = (try #require(range(0x10_0000, pages: 60)), try #require(range(0x100_0000, pages: 60)))
    let kept = [KeptRun(low, .free), KeptRun(high, .kernelCore)]
    #expect(try scan(source, kept: kept) == [SharedRange(low, original: PhysicalAddress(0x100_0000))])
  }

  /// Seven pages, which are worth no program headers; zeros, which have a hole; a fill pattern alone, which
  /// is equal to too much.
  @Test func shortRunsZerosAndPatternsAreLeftAlone() throws {
    let short = Array(file.prefix(7 * page))
    let pattern = [UInt8](repeating: 0x6b, count: 40 * page)
    let source = try opened([.init(0x10_0000, short + zeros(40) + pattern + short + zeros(40) + pattern)], Scratch())
    #expect(try scan(source) == [])
  }

  @Test func aZeroPageEndsARun() throws {
    let content = Array(file.prefix(20 * page)) + zeros(1) + Array(file.suffix(20 * page))
    let source = try opened([.init(0x10_0000, content), .init(0x100_0000, content)], Scratch())
    let found = try scan(source)
    #expect(found.map(\.range) == [range(0x100_0000, pages: 20), range(0x100_0000 + 21 * page, pages: 20)])
  }

  /// What repeats itself within the compressor's window costs next to nothing as it is. Alone, and behind
  /// what could be its original.
  @Test(arguments: [1, 2, 3, 7]) func pagesOverAndOverTakeNoRuns(period: Int) throws {
    let once = noise(period * page, seed: 7)
    let many = Array((0..<1000 / period).map { _ in once }.joined())
    #expect(try scan(opened([.init(0x10_0000, many)], Scratch())) == [])
    let early = Array((0..<8).map { _ in once }.joined())
    let found = try scan(opened([.init(0x10_0000, noise(page, seed: 1) + early + noise(99 * page, seed: 2) + many)], Scratch()))
    #expect(found.count <= 1)
  }

  /// A copy with such pages in it is one run: its other pages find it.
  @Test func aFileThatRepeatsItselfInPartsIsFoundWhole() throws {
    let content =
      Array(file.prefix(20 * page)) + Array((0..<20).map { _ in noise(page, seed: 7) }.joined()) + Array(file.suffix(20 * page))
    let source = try opened([.init(0x10_0000, content), .init(0x100_0000, content)], Scratch())
    #expect(try scan(source) == [SharedRange(try #require(range(0x100_0000, pages: 60)), original: PhysicalAddress(0x10_0000))])
  }

  /// One byte in the last page differs, far from where the hash looks.
  @Test func pagesAreComparedByteByByte() throws {
    var other = file
    other[30 * page + 17] ^= 1
    let source = try opened([.init(0x10_0000, file), .init(0x100_0000, other)], Scratch())
    #expect(try scan(source).map(\.range) == [range(0x100_0000, pages: 30), range(0x100_0000 + 31 * page, pages: 29)])
  }

  /// A page over and over, files in pieces, copies of copies: whatever is found, no original has lost its
  /// place, and all is equal.
  @Test(arguments: 0..<12) func noOriginalIsInARun(seed: UInt64) throws {
    var random = SystemLike(seed)
    let pool = (0..<40).map { noise((1 + $0 % 30) * page, seed: 100 + UInt64($0)) } + [noise(page, seed: 99), zeros(1)]
    var memory: [UInt8] = []
    while memory.count < 6 << 20 {
      let piece = pool[random.next(pool.count)]
      let times = random.next(8) == 0 ? 20 : 1
      for _ in 0..<times { memory += piece }
    }
    let source = try opened([.init(0x10_0000, memory)], Scratch())
    let found = try scan(source)
    #expect(found.count > 20)
    for (one, next) in zip(found, found.dropFirst()) { #expect(one.range.end <= next.range.start) }
    let runs = found.map(\.range)
    for run in found {
      let original = try #require(run.originalRange)
      #expect(RangeSet.overlapping(runs, original).isEmpty)
      #expect(run.range.count >= SharedScan.shortestRun)
      let count = Int(run.range.count)
      let mine = try source.bytes(at: PhysicalAddress(run.range.start), count: count)
      #expect(try mine == source.bytes(at: run.original, count: count))
    }
  }

  @Test func whatCanNotBeReadAndWhatLiesBeyondTheLimitIsNotShared() throws {
    let source = try opened([.init(0x10_0000, file), .init(0x100_0000, file)], Scratch())
    let bad = try #require(range(0x10_0000, pages: 60))
    #expect(
      try scan(UnsteadySource(source) { (at, _) throws(DumpError) in if bad.contains(at) { throw DumpError("no such memory") } })
        == [])
    #expect(try scan(source, memoryLimit: UInt64(60 * page)) == [])
    #expect(try scan(source, memoryLimit: UInt64(80 * page)).map(\.range) == [range(0x100_0000, pages: 20)])
  }
}

@Suite struct DumpsWithSharedMemory {
  private let file = noise(60 * page, seed: 4)
  private var segments: [SyntheticCore.Segment] { [.init(0x10_0000, file), .init(0x100_0000, noise(page, seed: 1) + file)] }

  private func planned(_ source: any DumpSource) throws -> DumpPlan {
    let work = OrderedWork(threads: 2)
    let selection = PageSelection(.all, source, witnesses: [], pageSize: .fourKiB)
    let zeros = try ZeroScan(selection.kept.map(\.range), source, .fourKiB, work) { _ in }
    return try DumpPlan(selection, source, zeros: zeros, shared: scan(source), tool: "test", crashTime: 0, findings: [])
  }

  private func outcome(_ plan: DumpPlan, _ source: any DumpSource) throws -> Pipeline.Outcome {
    try Pipeline(plan, .elfGzip, OrderedWork(threads: 2)).run(source, to: NoSink()) { _, _ in }
  }

  @Test func aCopyHasNoPlaceOfItsOwn() throws {
    let source = try opened(segments, Scratch())
    let plan = try planned(source)
    #expect(plan.pieces.reduce(0) { $0 + $1.memory.count } == 61 * 4096)
    #expect(plan.shared.pieces.map(\.memory) == [range(0x100_1000, pages: 60)])
    #expect(plan.shared.pieces.map(\.fileOffset) == plan.pieces.filter { $0.memory.start == 0x10_0000 }.map(\.fileOffset))
    // Nothing may be written to the copy either while the dump is made: it is read again.
    #expect(plan.memoryRead == [range(0x10_0000, pages: 60), range(0x100_0000, pages: 61)])
    let outcome = try outcome(plan, source)
    #expect(outcome.changed == [] && outcome.unreadable == [])
    // The 60 pages that share a place, and the sample, which has all 61 others.
    #expect(outcome.sampledPages == 121)
  }

  @Test func aFileThatIsCutLacksTheCopyWithTheOriginal() throws {
    let plan = try planned(try opened(segments, Scratch()))
    let place = try #require(plan.pieces.first { $0.memory.start == 0x10_0000 }).fileOffset
    #expect(
      plan.missing(beyond: place + 10 * 4096)
        == [
          range(0x10_0000 + 10 * page, pages: 50), range(0x100_0000, pages: 1), range(0x100_1000 + 10 * page, pages: 50),
        ].compactMap { $0 })
  }

  /// A device writes to the copy after the dump was planned: what the dump has for it is the original's, and
  /// that is told.
  @Test func aCopyThatChangesAfterPlanningIsNamed() throws {
    let source = try opened(segments, Scratch())
    let plan = try planned(source)
    let place = 0x100_1000 + 20 * UInt64(page)
    let restless = UnsteadySource(source) { at, buffer in
      if PhysicalRange(start: at, count: UInt64(buffer.count))?.contains(place + 5) ?? false { buffer[Int(place + 5 - at)] ^= 1 }
    }
    #expect(try outcome(plan, restless).changed == [range(Int(place), pages: 1)])
  }

  @Test func anOriginalThatBecomesUnreadableTakesTheCopyWithIt() throws {
    let source = try opened(segments, Scratch())
    let plan = try planned(source)
    let place = UInt64(0x10_0000 + 20 * page)
    let failing = UnsteadySource(source) { (at, buffer) throws(DumpError) in
      if PhysicalRange(start: at, count: UInt64(buffer.count))?.contains(place) ?? false { throw DumpError("EIO") }
    }
    let outcome = try outcome(plan, failing)
    #expect(outcome.unreadable == [range(Int(place), pages: 1), range(0x100_1000 + 20 * page, pages: 1)])
    #expect(outcome.changed == [])
  }

  /// What a dump that is cut can't say of itself is told while it is written.
  @Test func aChangeIsToldBeforeTheDumpEnds() throws {
    let source = try opened(segments, Scratch())
    let plan = try planned(source)
    let restless = UnsteadySource(source) { at, buffer in
      if at >= 0x100_1000 { for index in stride(from: 0, to: buffer.count, by: page) { buffer[index] ^= 1 } }
    }
    var told: [PhysicalRange] = []
    let limit = DumpError(.full, "limit")
    #expect(throws: limit) {
      try Pipeline(plan, .elfGzip, OrderedWork(threads: 1)).run(
        restless, to: NoSink(), limit: { done, _ in done > 0 ? limit : nil }, changed: { told += $0 }, progress: { _, _ in })
    }
    #expect(RangeSet.joined(told) == [range(0x100_1000, pages: 60)])
  }

  /// Ten thousand copies of memory of which every other page is unreadable: the list of what that means stays
  /// short.
  @Test func copiesOfDamagedMemoryAreNamedInFewRanges() throws {
    let source = try opened(segments, Scratch())
    let plan = try planned(source)
    let place = try #require(plan.shared.pieces.first).fileOffset
    func ranges(_ count: Int, step: Int, size: Int) -> [Range<UInt64>] {
      (0..<count).map { number in
        let start = place + UInt64(number * step)
        return start..<start + UInt64(size)
      }
    }
    let few = ranges(20, step: 2 * page, size: page)
    #expect(plan.shared.memory(at: few) == (0..<20).compactMap { range(0x100_1000 + 2 * $0 * page, pages: 1) })
    let many = ranges(3000, step: 64, size: 32)
    let found = plan.shared.memory(at: many)
    #expect(found.count == 64)
    #expect(found.last?.end == 0x100_1000 + 2999 * 64 + 32)
  }

  /// Two runs that touch, as their originals do, which stand in two passes: in two places of the file.
  @Test func runsThatTouchNeedNotHaveOriginalsThatDo() throws {
    let source = try opened([.init(0x10_0000, file), .init(0x100_0000, file)], Scratch())
    let (low, high) = (try #require(range(0x10_0000, pages: 30)), try #require(range(0x10_0000 + 30 * page, pages: 30)))
    let copy = try #require(range(0x100_0000, pages: 60))
    var selection = PageSelection(.all, source, witnesses: [], pageSize: .fourKiB)
    selection.kept = [KeptRun(low, .user), KeptRun(high, .kernelCore), KeptRun(copy, .free)]
    let shared = try scan(source, kept: selection.kept)
    #expect(shared.map(\.range.count) == [30 * 4096, 30 * 4096])
    let plan = try DumpPlan(
      selection, source, zeros: ZeroScan(), shared: shared, tool: "test", crashTime: 0, findings: [])
    #expect(plan.shared.pieces.map(\.memory).count == 2)
    for piece in plan.shared.pieces {
      let original = try #require(plan.pieces.first { $0.fileOffset == piece.fileOffset })
      #expect(original.memory.count == piece.memory.count && original.memory.start == piece.memory.start - 0xf0_0000)
    }
  }

  /// A run that a kept run's end cuts is one piece all the same: a dump is written anew from the pieces of
  /// its program headers.
  @Test func aRunInTwoKeptRunsIsOnePiece() throws {
    let source = try opened(segments, Scratch())
    var selection = PageSelection(.all, source, witnesses: [], pageSize: .fourKiB)
    let shared = try scan(source)
    selection.kept = try [
      KeptRun(#require(range(0x10_0000, pages: 60)), .kernel), KeptRun(#require(range(0x100_0000, pages: 31)), .kernel),
      KeptRun(#require(range(0x100_0000 + 31 * page, pages: 30)), .kernel),
    ]
    let plan = try DumpPlan(
      selection, source, zeros: ZeroScan(), shared: shared, tool: "test", crashTime: 0, findings: [])
    #expect(plan.shared.pieces.map(\.memory) == [range(0x100_1000, pages: 60)])
  }

  /// A run whose original is in no piece of the file gets a place of its own.
  @Test func aRunWithoutAnOriginalIsWritten() throws {
    let source = try opened(segments, Scratch())
    let selection = PageSelection(.all, source, witnesses: [], pageSize: .fourKiB)
    let copy = try #require(range(0x100_1000, pages: 60))
    for original in [0x10_1000, 0x50_0000, UInt64.max - 4095, 0x100_2000] {
      let plan = try DumpPlan(
        selection, source, zeros: ZeroScan([], source, .fourKiB, OrderedWork(threads: 1)) { _ in },
        shared: [SharedRange(copy, original: PhysicalAddress(original))], tool: "test", crashTime: 0, findings: [])
      #expect(plan.note.shared == [])
      #expect(plan.pieces.reduce(0) { $0 + $1.memory.count } == 121 * 4096)
    }
  }
}

/// The same numbers in every run.
private struct SystemLike {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed &+ 1 }
  mutating func next(_ limit: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(state >> 33) % limit
  }
}
