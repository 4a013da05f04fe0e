#if Kdump
  public import CoreEncoding
  public import DumpBasics

  /// A kdump-compressed file, as makedumpfile writes it: a diskdump header, two bitmaps, a descriptor for
  /// each page, the pages.
  public final class KdumpSource: DumpSource {
    public let identity: MachineIdentity
    public let segments: [MemorySegment]
    public let notes: [DumpNote]
    public let largeNotes: [LargeNote]
    public let shortfall: Shortfall?
    public let findings: [DumpError]
    public let leftOut: AbsentRanges
    public let dumpLevel: Int?
    public let statement: MCoreNote?
    public let format: String
    public let isCompressed = true
    /// What is wrong with this file; that it is a part of a set is not.
    let ownFindings: [DumpError]
    /// The pages of the machine that the bitmaps name: all, and those that were written, here or in another
    /// part.
    let existing: FrameRuns
    let written: FrameRuns
    /// Those that this file should have and does not.
    let lost: FrameRuns
    let pages: KdumpPages
    private let pieces: [Coverage]
    public var name: String { pages.content.name }

    private static let vmcoreinfoLimit: UInt64 = 1 << 20

    init(_ content: any Content) throws(DumpError) {
      let name = content.name
      let layout = try KdumpLayout(content)
      let pageSize = layout.pageSize
      identity = layout.header.identity
      dumpLevel = Int(layout.subHeader.dumpLevel)
      var findings = layout.doubts
      if let damage = content.damage { findings.append(damage) }

      let existing = try FrameRuns(content, at: layout.existing, frames: 0..<layout.frames, name: name)
      var written = try FrameRuns(content, at: layout.written, frames: 0..<layout.frames, name: name)
      let isPart = layout.subHeader.part != nil
      var here = isPart ? try FrameRuns(content, at: layout.written, frames: layout.part, name: name) : written
      let end = max(existing.runs.last?.end ?? 0, written.runs.last?.end ?? 0)
      if end > layout.statedFrames {
        findings.append(
          DumpError(
            "max_mapnr is \(hex(layout.statedFrames)), and the bitmaps name pages up to pfn \(hex(end))",
            at: "\(name), offset 0x1b8", advice: "they are read"))
      }
      guard !here.runs.isEmpty || !existing.runs.isEmpty else {
        throw DumpError("the bitmaps are empty: the file holds no memory", at: name, advice: "this is no dump")
      }
      let marks = try KdumpMarks(KdumpPages(layout, content, here))
      findings += marks.findings
      if let runs = marks.runs {
        here = runs
        written = runs.union(marks.unsure)
      }
      let pages = KdumpPages(layout, content, here, hasMarks: marks.isThere)
      self.pages = pages
      let damage = try KdumpShortfall(pages)
      findings += damage.findings
      shortfall = damage.shortfall
      lost = damage.lost
      self.existing = existing
      self.written = written
      format = "kdump-\(try KdumpSource.codec(pages))"

      let (notes, large) = KdumpSource.notes(layout, content, &findings)
      statement = KdumpSource.statement(notes, name, &findings)
      // What exists and was not written was left out. Why, mcore says of its own dumps. A page that was
      // written exists, whatever the first bitmap says.
      var leftOut = AbsentRanges()
      if let statement {
        leftOut = statement.leftOut
      } else {
        existing.subtracting(written) { start, end in
          if let range = FrameRuns.memory(start, end, pageSize) { leftOut.append(AbsentRange(range, .level)) }
        }
      }
      self.leftOut = leftOut
      pieces = written.coverage(here: here, lost: damage.lost, pageSize)
      segments = existing.union(written).segments(pageSize)
      self.notes = notes
      largeNotes = large
      ownFindings = findings
      if isPart {
        findings.append(
          DumpError(
            "this file is one of several: it holds the pages from pfn \(hex(layout.part.lowerBound)) to \(hex(layout.part.upperBound))",
            at: name, advice: "mcore convert PART... OUT makes one file of all"))
      }
      self.findings = findings
    }

    public func coverage() -> [Coverage] { pieces }

    public func read(at address: PhysicalAddress, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
      unsafe try pages.read(at: address, into: buffer)
    }

    // MARK: taking the file apart

    private static func statement(_ notes: [DumpNote], _ name: String, _ findings: inout [DumpError]) -> MCoreNote? {
      guard let own = notes.first(where: { $0.name == MCoreNote.name }) else { return nil }
      do throws(DumpError) {
        return try MCoreNote(own.descriptor, at: "\(name), note MCORE")
      } catch {
        findings.append(error)
        return nil
      }
    }

    /// How the first page that is compressed is.
    private static func codec(_ pages: KdumpPages) throws(DumpError) -> String {
      let first = try pages.descriptors(0, min(pages.presentDescriptors, 1024))
      let codec = first.lazy.compactMap { KdumpCodec(flags: $0.flags) }.first { $0 != .plain }
      return "\(codec ?? .plain)"
    }

    public func readLargeNote(
      _ note: LargeNote, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DumpError) {
      unsafe try note.read(from: pages.content, at: offset, into: buffer)
    }

    /// The notes as the file has them. Before version 4 there are none, before 3 no VMCOREINFO either.
    private static func notes(
      _ layout: KdumpLayout, _ content: any Content, _ findings: inout [DumpError]
    ) -> (notes: [DumpNote], large: [LargeNote]) {
      func range(_ place: KdumpSubHeader.Place?, _ what: String, limit: UInt64 = .max) -> Range<UInt64>? {
        guard let place else { return nil }
        let (end, overflow) = place.offset.addingReportingOverflow(place.count)
        if !overflow, end <= content.size, place.count <= limit { return place.offset..<end }
        findings.append(
          DumpError(
            "\(what) at \(hex(place.offset)), \(place.count) bytes, run past the end or are too large", at: content.name))
        return nil
      }
      var walk = NoteWalk()
      if let range = range(layout.subHeader.notes, "notes") {
        _ = walk.read(range, content, layout.header.identity.byteOrder, content.name, &findings)
      }
      var notes = walk.notes
      if !notes.contains(where: \.isVMCoreInfo),
        let range = range(layout.subHeader.vmcoreinfo, "VMCOREINFO", limit: vmcoreinfoLimit)
      {
        do throws(DumpError) {
          let found = try content.bytes(at: range.lowerBound, count: range.count)
          notes.append(DumpNote(name: "VMCOREINFO", type: 0, descriptor: found))
        } catch { findings.append(error.inside(content.name)) }
      }
      if notes.isEmpty { findings.append(DumpError("no notes: no registers, no VMCOREINFO", at: content.name)) }
      return (notes, walk.large)
    }
  }
#endif
