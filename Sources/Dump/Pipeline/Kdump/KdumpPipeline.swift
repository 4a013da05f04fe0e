#if Kdump
  internal import CoreEncoding
  public import DumpBasics
  public import DumpPlan
  public import DumpSource
  public import DumpTarget
  public import Workers

  /// Memory in, kdump-compressed file out. The other pipeline writes a stream; here the page descriptors
  /// stand before the pages and tell their sizes, so the file is written with a hole for them, which is
  /// filled as the pages become known.
  ///
  ///     headers, notes, bitmaps │ descriptors (filled later) │ pages, by address
  ///
  /// Until the end the header says that the file is incomplete: a file that is cut is read as far as it goes.
  public struct KdumpPipeline: Sendable {
    let layout: KdumpFileLayout
    private let plan: DumpPlan
    private let codec: KdumpCodec
    private let work: OrderedWork

    /// Bytes of memory that go through: what `progress` counts up to.
    public var total: UInt64 { layout.written.count << plan.pageSize.shift }

    /// Bytes of pages that a worker takes at a time.
    private static let unitSize: UInt64 = 256 << 10

    /// `plan` leaves no memory without a place of its own. `codec` is zlib or zstd.
    public init(
      _ plan: DumpPlan, _ source: any DumpSource, zstd: Bool, kernel: KdumpKernel, _ work: OrderedWork
    ) throws(DumpError) {
      codec = zstd ? .zstd : .zlib
      self.plan = plan
      self.work = work
      layout = try KdumpFileLayout(plan, source, kernel, status: codec.rawValue)
    }

    /// The same as `Pipeline.run` does; there is no digest, since the file is not written from start to end.
    public func run(
      _ source: any DumpSource, to sink: any DumpSink, limit: (UInt64, UInt64) -> DumpError? = { _, _ in nil },
      progress: (UInt64, UInt64) -> Void
    ) throws(DumpError) -> Pipeline.Outcome {
      guard sink.canRewrite else {
        throw DumpError(
          .unsupported, "a kdump-compressed file can't be written in one go, and this target takes nothing else", at: sink.name,
          advice: "write it to a file, or choose another format")
      }
      return try sink.keepingWhole { (whole) throws(DumpError) in
        try write(source, to: sink, limit) { done, written in
          whole = written
          progress(done, written)
        }
      }
    }

    private func write(
      _ source: any DumpSource, to sink: any DumpSink, _ limit: (UInt64, UInt64) -> DumpError?,
      progress: (UInt64, UInt64) -> Void
    ) throws(DumpError) -> Pipeline.Outcome {
      let sample = source.metadata == nil ? QuiescenceSample(plan, source) : nil
      var readError: DumpError?
      var output = try KdumpOutput(sink, layout, source) { readError = $0 }
      let perUnit = max(1, KdumpPipeline.unitSize >> plan.pageSize.shift)
      let units = (layout.written.count + perUnit - 1) / perUnit
      var unreadable: [PhysicalRange] = []
      var zeroPages: UInt64 = 0
      var compressors: [KdumpPageCompressor] = []
      for _ in 0..<work.threads { compressors.append(try KdumpPageCompressor(codec)) }
      let zero = KdumpPage.zeros(compressors[0], plan.pageSize)
      let reader = KdumpPageReader(plan, source)
      let layout = self.layout
      let pageSize = plan.pageSize

      try work.run(
        count: Int(units), makeWorker: { KdumpWorker(compressors.removeLast(), zero: zero, pageSize, pages: Int(perUnit)) },
        makeSlot: { KdumpSlot(pageSize, pages: Int(perUnit)) },
        work: { unit, worker, slot throws(DumpError) in
          slot.begin()
          let first = UInt64(unit) * perUnit
          layout.written.forEachRun(first..<min(first + perUnit, layout.written.count)) { worker.add($0, $1, reader, slot) }
        },
        consume: { unit, slot throws(DumpError) in
          do throws(DumpError) {
            if let error = limit(UInt64(unit) * perUnit << pageSize.shift, output.count + UInt64(slot.count)) { throw error }
            try output.write(slot, zero: zero)
          } catch {
            output.flushWhatIsThere()
            throw error
          }
          unreadable += slot.unreadable
          zeroPages += UInt64(slot.zeroPages)
          if readError == nil { readError = slot.firstReadError }
          progress(min(layout.written.count, UInt64(unit + 1) * perUnit) << pageSize.shift, output.count)
        })

      let changed = sample?.changed(source) ?? source.metadata?.trailer?.changed ?? []
      try output.finish()
      return Pipeline.Outcome(
        bytesWritten: output.count, sha256: nil, unreadable: RangeSet.joined(unreadable), firstReadError: readError,
        zeroPages: zeroPages, sampledPages: sample?.count ?? source.metadata?.trailer?.sampledPages ?? 0, changed: changed)
    }
  }

  /// The file being written: pages at its end, their descriptors into the hole before them.
  private struct KdumpOutput {
    private let sink: any DumpSink
    private let layout: KdumpFileLayout
    private(set) var count: UInt64
    private var descriptors: ByteWriter
    private var descriptorOffset: UInt64
    private var zeroPlace: KdumpPageDescriptor?
    /// Of all before the descriptors, as it is when the file is whole.
    private var headChecksum = KdumpHeadChecksum()
    private static let atOnce = 64 << 10

    /// `lost` hears of notes that can't be read of the source: zeros stand in their place.
    init(_ sink: any DumpSink, _ layout: KdumpFileLayout, _ source: any DumpSource, lost: (DumpError) -> Void) throws(DumpError) {
      self.sink = sink
      self.layout = layout
      descriptors = ByteWriter(layout.header.identity.byteOrder)
      descriptorOffset = layout.descriptors
      count = layout.data
      let head = layout.head(isIncomplete: true)
      try sink.write(head)
      headChecksum.add(layout.head(isIncomplete: false)[...])
      try copyNotes(source, lost: lost)
      try skip(layout.headSize - (layout.largeNotes.last?.fileEnd ?? UInt64(head.count)))
      for bitmap in [layout.existing, layout.written] {
        try bitmap.forEachPiece(
          of: layout.bitmapSize, bytes: { (piece) throws(DumpError) in try write(piece[...]) },
          zeros: { (count) throws(DumpError) in try skip(count) })
      }
      try sink.skip(layout.data - layout.descriptors)
    }

    /// Writes bytes of what stands before the descriptors.
    private mutating func write(_ bytes: ArraySlice<UInt8>) throws(DumpError) {
      headChecksum.add(bytes)
      try unsafe bytes.lent { (bytes) throws(DumpError) in unsafe try sink.write(bytes) }
    }

    private mutating func skip(_ count: UInt64) throws(DumpError) {
      headChecksum.skip(count)
      try sink.skip(count)
    }

    private mutating func copyNotes(_ source: any DumpSource, lost: (DumpError) -> Void) throws(DumpError) {
      var bytes = [UInt8](repeating: 0, count: layout.largeNotes.isEmpty ? 0 : 1 << 20)
      for note in layout.largeNotes {
        var position = note.fileOffset
        while position < note.fileEnd {
          let count = Int(min(UInt64(bytes.count), note.fileEnd - position))
          var problem: DumpError?
          unsafe bytes.withUnsafeMutableBytes { buffer in
            let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
            do throws(DumpError) { unsafe try note.fill(part, at: position, source) } catch { problem = error }
          }
          if let problem { lost(problem) }
          try write(bytes[..<count])
          position += UInt64(count)
        }
      }
    }

    mutating func write(_ slot: KdumpSlot, zero: KdumpPage) throws(DumpError) {
      var offset = count
      var descriptors = ByteWriter(layout.header.identity.byteOrder, capacity: slot.pages.count * KdumpPageDescriptor.size)
      for entry in slot.pages {
        var descriptor: KdumpPageDescriptor
        switch entry.page {
        case .data(let size, let flags):
          descriptor = KdumpPageDescriptor(offset: offset, count: size, flags: flags)
          offset += UInt64(size)
        case .zero: descriptor = zeroPage(zero, behind: slot)
        // Offset 0: readers take the page for lost.
        case .lost: descriptor = KdumpPageDescriptor(offset: 0, count: 0, flags: 0)
        }
        descriptor.mark = entry.mark
        descriptor.append(to: &descriptors)
      }
      try unsafe slot.withBytes { (bytes) throws(DumpError) in unsafe try sink.write(bytes) }
      count += UInt64(slot.count)
      if let place = zeroPlace, place.offset == count {
        try sink.write(zero.bytes)
        count += UInt64(zero.bytes.count)
      }
      // Only what has its data in the file is told of, should the next write fail.
      self.descriptors.append(descriptors.bytes)
      if self.descriptors.count >= KdumpOutput.atOnce { try flush() }
    }

    /// The one place that all pages of zeros share: behind the data of the first slot that has one.
    private mutating func zeroPage(_ zero: KdumpPage, behind slot: KdumpSlot) -> KdumpPageDescriptor {
      if let zeroPlace { return zeroPlace }
      let place = KdumpPageDescriptor(
        offset: count + UInt64(slot.count), count: UInt32(zero.bytes.count), flags: zero.flags)
      zeroPlace = place
      return place
    }

    private mutating func flush() throws(DumpError) {
      try sink.rewrite(at: descriptorOffset, descriptors.bytes)
      descriptorOffset += UInt64(descriptors.count)
      descriptors = ByteWriter(layout.header.identity.byteOrder, capacity: KdumpOutput.atOnce)
    }

    /// On the way out of an error: pages that are in the file are of no use without their descriptors.
    mutating func flushWhatIsThere() { try? flush() }

    mutating func finish() throws(DumpError) {
      try flush()
      let ending = KdumpEnding(covered: layout.descriptors, checksum: headChecksum.finished()).encoded()
      try sink.write(ending)
      count += UInt64(ending.count)
      try sink.rewrite(at: 0, Array(layout.head(isIncomplete: false).prefix(KdumpHeader.size)))
      try sink.finish()
    }
  }
#endif
