#if Kdump
  internal import CoreEncoding
  public import DumpBasics

  /// A dump of LKCD (Linux Kernel Crash Dump), versions 8 to 10, of x86_64: a header, the registers, then
  /// each page behind a header of its own, in any order.
  ///
  /// Such kernels have no VMCOREINFO. The notes are made of the registers.
  public final class LKCDSource: DumpSource {
    public let identity: MachineIdentity
    public let segments: [MemorySegment]
    public let notes: [DumpNote]
    public let shortfall: Shortfall?
    public let findings: [DumpError]
    public let bytesBehind: UInt64
    public let format: String
    public let isCompressed = true
    public let crashStatement: CrashStatement?
    private let pages: LKCDPages
    private let pieces: [Coverage]
    public var name: String { pages.content.name }

    /// - Throws: when the header is none that mcore reads, or pages are in too many places.
    init(_ content: any Content) throws(DumpError) {
      let layout = try LKCDLayout(content)
      let header = layout.header
      let walk = try LKCDWalk(content, from: layout.pages, header)
      let choice = try LKCDCodecChoice(content, header, samples: walk.samples)
      let state = LKCDState(content, layout, walk)
      identity = header.identity
      notes = layout.notes
      shortfall = state.shortfall
      bytesBehind = state.bytesBehind
      findings = layout.doubts + choice.doubts + state.findings
      format = "lkcd-\(choice.codec.name)"
      crashStatement = CrashStatement(
        names: header.names, crashTime: header.crashTime == 0 ? nil : Int64(exactly: header.crashTime),
        reason: header.panic.isEmpty ? nil : LKCDSource.line(header.panic))
      pages = LKCDPages(content, walk.index, choice.codec, header.pageSize)

      let there = walk.index.frames
      var all = there
      if let cut = walk.cutFrame {
        var single = FrameRuns()
        single.append(cut, cut + 1)
        all = there.union(single)
      }
      pieces = all.coverage(here: there, header.pageSize)
      segments = all.segments(header.pageSize)
    }

    public func coverage() -> [Coverage] { pieces }

    public func read(at address: PhysicalAddress, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
      unsafe try pages.read(at: address, into: buffer)
    }

    /// The panic string without the newline that it ends with.
    private static func line(_ text: String) -> String {
      var text = text
      while let last = text.utf8.last, last == 0x0a || last == 0x20 { text.removeLast() }
      return text
    }
  }
#endif
