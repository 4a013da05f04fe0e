#if Kdump
  import DumpBasics
  import DumpTarget
  import PageSelection
  import TestSupport
  import Testing
  import Workers

  @testable import DumpPlan
  @testable import DumpSource
  @testable import Pipeline

  /// As a pipe is.
  private final class OneWaySink: DumpSink {
    let name = "a pipe"
    private(set) var count = 0
    func write(_ bytes: UnsafeRawBufferPointer) throws(DumpError) { count += bytes.count }
    func skip(_ skipped: UInt64) throws(DumpError) { count += Int(skipped) }
    func finish() throws(DumpError) {}
  }

  @Test func aTargetThatCanNotBeWrittenAgainIsRefusedBeforeTheFirstByte() throws {
    let scratch = try Scratch()
    try SyntheticCore([.init(0x1000, noise(8192, seed: 1))]).write(to: scratch.file("core"))
    let source = try openDump(scratch.file("core"))
    let selection = PageSelection(.all, source, witnesses: [], pageSize: .fourKiB)
    let plan = try DumpPlan(selection, source, zeros: ZeroScan(), tool: "test", crashTime: 0, findings: [])
    let pipeline = try KdumpPipeline(plan, source, zstd: false, kernel: KdumpKernel(), OrderedWork(threads: 1))
    let sink = OneWaySink()
    let error = #expect(throws: DumpError.self) { try pipeline.run(source, to: sink) { _, _ in } }
    #expect(error?.description.contains("can't be written in one go") == true)
    #expect(sink.count == 0)
  }

  @Test func aBitmapHasItsBitsWhereTheRunsAre() throws {
    let ranges = try [(0x1000, 0x2000), (0x8000, 0x48000), (0x200_0000, 0x200_0001), (0x1_0000_0000, 0x1_0000_2000)].map {
      try #require(PhysicalRange(UInt64($0), UInt64($1)))
    }
    let bitmap = FrameBitmap(ranges, .fourKiB)
    #expect(bitmap.count == 1 + 64 + 1 + 2)
    var bits: [UInt64] = []
    var offset: UInt64 = 0
    var pieces: [Bool] = []
    try bitmap.forEachPiece(
      of: 1 << 18,
      bytes: { piece in
        #expect(piece.contains { $0 != 0 })
        pieces.append(false)
        for (index, byte) in piece.enumerated() {
          for bit in 0..<8 as Range<UInt64> where byte >> UInt8(bit) & 1 == 1 { bits.append((offset + UInt64(index)) * 8 + bit) }
        }
        offset += UInt64(piece.count)
      },
      zeros: { count in
        pieces.append(true)
        offset += count
      })
    #expect(offset == 1 << 18)
    #expect(bits == [1] + Array(8..<72) + [0x2000, 0x10_0000, 0x10_0001])
    #expect(pieces == [false, true, false, true])
    var runs: [[UInt64]] = []
    bitmap.forEachRun(60..<67) { runs.append([$0, $1]) }
    #expect(runs == [[67, 5], [0x2000, 1], [0x10_0000, 1]])
  }
#endif
