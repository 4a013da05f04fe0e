internal import CoreEncoding
public import CoreFormat
public import DumpBasics
public import DumpPlan
public import DumpSource
public import DumpTarget
internal import LinuxSystem
public import Workers

/// The heart of mcore: memory in, dump file out.
///
///     read a group ─► compress its blocks ─►  write in order
///     └──────── worker threads ─────────┘     └ calling thread ┘
///
/// A group is 16 blocks (983,040 bytes) of the uncompressed file. Workers read and compress whole groups on
/// their own, so that nothing is handed over but finished groups; `OrderedWork` bounds how many there are.
/// The bytes written depend on the plan, never on the number of threads.
public struct Pipeline: Sendable {
  public let plan: DumpPlan
  public let format: OutputFormat
  public let work: OrderedWork
  /// Whether SHA-256 of the file is wanted. It costs a tenth of all time, so only where something records it.
  public let isDigested: Bool
  public let speed: Speed
  /// Whether each thread may write its groups where they belong, where format and sink allow it
  /// (`PlacedGroups`).
  public let inAnyOrder: Bool

  public init(
    _ plan: DumpPlan, _ format: OutputFormat, _ work: OrderedWork, speed: Speed = .balanced, isDigested: Bool = false,
    inAnyOrder: Bool = false
  ) {
    self.speed = speed
    self.inAnyOrder = inAnyOrder
    self.plan = plan
    self.format = format
    self.work = work
    self.isDigested = isDigested
  }

  /// What came out of a run.
  public struct Outcome: Sendable {
    public var bytesWritten: UInt64
    /// SHA-256 of the file, where it was wanted and the build has it.
    public var sha256: String?
    /// Memory whose place in the file holds the poison pattern.
    public var unreadable: [PhysicalRange]
    /// The first reason why something was unreadable.
    public var firstReadError: DumpError?
    /// Pages of zeros among those that were read: all but those in the hole.
    public var zeroPages: UInt64
    /// Pages that were read a second time at the end, and those of them that had changed.
    public var sampledPages: UInt64
    public var changed: [PhysicalRange]
  }

  /// Stands where memory could not be read, over and over: found in a hex dump, it explains itself.
  public static let poison = Array("mcore:unreadable".utf8)

  /// Reads everything in the plan from `source` and writes the file to `sink`, trailer and footer included,
  /// and finishes it. `progress` hears, after each group, the uncompressed bytes done and how long the file
  /// is. Throws what `sink` throws; memory that can't be read is poisoned and reported, and the run goes on.
  ///
  /// `changed` hears which memory shares a place of the file and had changed when that was written: what a
  /// dump that is cut can't say of itself.
  ///
  /// `limit` is asked before each group with the uncompressed bytes done and how long the file would become;
  /// an error ends the run. Whatever ends it early, the file is cut after the last whole group.
  public func run(
    _ source: any DumpSource, to sink: any DumpSink, limit: (UInt64, UInt64) -> DumpError? = { _, _ in nil },
    changed: ([PhysicalRange]) -> Void = { _ in }, progress: (UInt64, UInt64) -> Void
  ) throws(DumpError) -> Outcome {
    // A digest is made of the bytes in their order.
    let places = inAnyOrder && !isDigested && work.threads > 1 ? try PlacedGroups(format, plan.header, sink) : nil
    var isBegun = false
    do throws(DumpError) {
      return try sink.keepingWhole { (whole) throws(DumpError) in
        try write(source, to: sink, places, limit, changed) { done, written in
          whole = written
          isBegun = true
          progress(done, written)
        }
      }
    } catch {
      // What ended the run is what is told.
      if isBegun { try? places?.complete(sink) }
      throw error
    }
  }

  private func write(
    _ source: any DumpSource, to sink: any DumpSink, _ places: PlacedGroups?, _ limit: (UInt64, UInt64) -> DumpError?,
    _ hear: ([PhysicalRange]) -> Void, progress: (UInt64, UInt64) -> Void
  ) throws(DumpError) -> Outcome {
    let groupSize = UInt64(DumpTrailer.groupSize)
    let groups = Int(DumpTrailer.groups(in: plan.trailerOffset))
    var output = Output(sink, isDigested: isDigested)
    var trailer = DumpTrailer()
    // What a dump of ours says of the machine it came from still holds when it is written anew; a file holds
    // still.
    let sample = source.metadata == nil ? QuiescenceSample(plan, source) : nil
    var readError: DumpError?
    var zeroPages: UInt64 = 0
    var comparedBytes: UInt64 = 0
    var changed: [PhysicalRange] = []
    var poisoned: [Range<UInt64>] = []
    let filler = GroupFiller(plan, source)
    let pace = CodecPace(speed, format, threads: work.threads) { System.monotonicNanoseconds }
    let tailEncoder = try format.makeEncoder(pace.effort)
    // Encoders are made first, where a failure still has somebody to tell.
    var encoders: [any GroupEncoder] = []
    for _ in 0..<work.threads { encoders.append(try format.makeEncoder(pace.effort, changes: pace.isAdaptive)) }

    try work.run(
      count: groups,
      makeWorker: { Worker(encoders.removeLast(), pace, looksAgain: filler.looksAgain, inGroups: source.isCompressed) },
      makeSlot: { Slot() },
      work: { group, worker, slot throws(DumpError) in
        slot.begin(plan.pageSize)
        var cursor = UInt64(group) * groupSize
        let end = min(cursor + groupSize, plan.trailerOffset)
        while cursor < end {
          let count = Int(min(UInt64(worker.fillSize), end - cursor))
          unsafe worker.encode(count, into: slot.encoded) { unsafe filler.fill($0, from: cursor, slot, worker) }
          cursor += UInt64(count)
        }
        try places?.write(slot.encoded, at: UInt64(group) * groupSize)
      },
      consume: { group, slot throws(DumpError) in
        if tailEncoder.hasMembers { trailer.groupOffsets.append(output.count) }
        trailer.groupChecksums.append(slot.encoded.checksum)
        trailer.unreadable += slot.unreadable
        zeroPages += slot.zeros.pages
        comparedBytes += slot.comparedBytes
        poisoned += slot.poisoned
        if !slot.changed.isEmpty {
          changed = RangeSet.joined(changed + slot.changed)
          hear(slot.changed)
        }
        if readError == nil { readError = slot.firstReadError }
        if let error = limit(UInt64(group) * groupSize, output.count + slot.encoded.size) { throw error }
        let start = pace.now
        if places == nil { try output.write(slot.encoded) } else { try output.pass(slot.encoded.size) }
        pace.wrote(slot.encoded.size, since: start)
        tailEncoder.wrote(slot.encoded)
        progress(min(plan.trailerOffset, UInt64(group + 1) * groupSize), output.count)
      })

    trailer.zeroPages = zeroPages
    trailer.unreadable = RangeSet.joined(trailer.unreadable + plan.shared.memory(at: poisoned))
    trailer.sampledPages = (comparedBytes >> plan.pageSize.shift) + (sample?.count ?? source.metadata?.trailer?.sampledPages ?? 0)
    trailer.changed = RangeSet.joined(changed + (sample?.changed(source) ?? source.metadata?.trailer?.changed ?? []))
    trailer.secondHead = try SecondHeadRecord(of: plan.header)
    try finish(trailer, tailEncoder, limit, &output)
    try places?.complete(sink)
    try sink.finish()
    return Outcome(
      bytesWritten: output.count, sha256: output.finishDigest(), unreadable: trailer.unreadable,
      firstReadError: readError, zeroPages: zeroPages, sampledPages: trailer.sampledPages, changed: trailer.changed)
  }

  /// The trailer, in blocks like all else; then the footer, which has a fixed size.
  private func finish(
    _ trailer: DumpTrailer, _ encoder: any GroupEncoder, _ limit: (UInt64, UInt64) -> DumpError?, _ output: inout Output
  ) throws(DumpError) {
    let bytes = trailer.encoded(plan.identity.architecture, plan.pageSize)
    // The most that trailer, footer and a format's own index can take: blocks of noise grow by some bytes
    // each.
    let most = UInt64(bytes.count + bytes.count / 32 + 1024) + (encoder.hasMembers ? 0 : UInt64(DumpFooter.size))
    if let error = limit(plan.trailerOffset, output.count + most) { throw error }
    let footer = DumpFooter(
      trailerOffset: plan.trailerOffset, fileSize: plan.trailerOffset + UInt64(bytes.count + DumpFooter.size),
      trailerSize: UInt64(bytes.count), compressedTrailerOffset: encoder.hasMembers ? output.count : plan.trailerOffset)
    let encoded = EncodedGroup()
    var offset = 0
    while offset < bytes.count {
      let end = min(bytes.count, offset + DumpTrailer.groupSize)
      unsafe bytes[offset..<end].withUnsafeBytes { unsafe encoder.encode(group: $0, into: encoded) }
      try output.write(encoded)
      encoder.wrote(encoded)
      offset = end
    }
    try output.write(encoder.encodeFooter(footer.encoded()))
  }
}

/// The file being written: counts and digests what goes to the sink.
private struct Output {
  let sink: any DumpSink
  private(set) var count: UInt64 = 0
  private var digest: Digest?
  private static let zeros = [UInt8](repeating: 0, count: 1 << 16)

  init(_ sink: any DumpSink, isDigested: Bool) {
    self.sink = sink
    digest = isDigested ? Digest() : nil
  }

  mutating func write(_ group: EncodedGroup) throws(DumpError) {
    try unsafe group.forEachPart(
      bytes: { (piece) throws(DumpError) in
        unsafe try sink.write(piece)
        unsafe digest?.update(piece)
        count += UInt64(piece.count)
      },
      zeros: { (length) throws(DumpError) in
        try sink.skip(UInt64(length))
        digestZeros(length)
        count += UInt64(length)
      })
  }

  /// What stands in the file already.
  mutating func pass(_ size: UInt64) throws(DumpError) {
    try sink.skip(size)
    count += size
  }

  mutating func write(_ bytes: [UInt8]) throws(DumpError) {
    try sink.write(bytes)
    unsafe bytes.withUnsafeBytes { unsafe digest?.update($0) }
    count += UInt64(bytes.count)
  }

  private mutating func digestZeros(_ length: Int) {
    var left = length
    while left > 0, digest != nil {
      let step = min(left, Output.zeros.count)
      unsafe Output.zeros.withUnsafeBytes { unsafe digest?.update(UnsafeRawBufferPointer(rebasing: $0[0..<step])) }
      left -= step
    }
  }

  mutating func finishDigest() -> String? { digest?.finish() }
}
