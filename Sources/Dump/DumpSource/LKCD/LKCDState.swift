#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// How whole a file of LKCD is: how it ends, what was passed over, and whether it has as many pages as it
  /// says.
  struct LKCDState {
    private(set) var findings: [DumpError] = []
    private(set) var shortfall: Shortfall?
    /// Behind the end of the dump and what LKCD itself leaves there: it writes whole buffers.
    private(set) var bytesBehind: UInt64 = 0

    private static let advice = "what is missing is named and left out"

    init(_ content: any Content, _ layout: LKCDLayout, _ walk: LKCDWalk) {
      let name = content.name
      let header = layout.header
      if let damage = content.damage { findings.append(damage) }
      if header.isLive { findings.append(DumpError("the kernel ran on while it was dumped", at: name)) }
      for gap in walk.gaps {
        findings.append(
          DumpError(
            "no page header is where one should be; the next one was found at offset \(hex(gap.found))",
            at: "\(name), offset \(hex(gap.expected))", advice: "pages between them are lost, others can be read"))
      }
      if walk.gapCount > walk.gaps.count {
        findings.append(DumpError("no page header is in \(walk.gapCount - walk.gaps.count) more places", at: name))
      }
      if walk.index.repeated > 0 {
        findings.append(
          DumpError(
            "\(walk.index.repeated) pages stand in the file more than once", at: name,
            advice: "the first one counts, as for crash"))
      }
      let stated = UInt64(header.pageCount)
      let missing = stated - min(stated, walk.pages)
      let place = "\(name), offset \(hex(walk.position))"
      switch walk.end {
      case .marked(let isTruncated):
        let padding = max(layout.pages, 64 << 10)
        let rest = content.size - min(content.size, walk.position)
        bytesBehind = rest > padding ? rest : 0
        if isTruncated {
          cut("the dump was larger than its disk: its writer ended it early", missing, content, place)
        } else if missing > 0 {
          findings.append(
            DumpError("the header says \(stated) pages, and \(walk.pages) are there", at: name, advice: "the others are lost"))
        }
      case .file:
        // Without an end-of-dump page only the number of pages can say that it is whole.
        let isWhole = walk.cutFrame == nil && walk.position == content.size && stated > 0 && missing == 0
        if isWhole { return }
        if layout.pages >= content.size, header.dumpLevel == LKCDHeader.headerLevel {
          findings.append(DumpError("the header alone was dumped: no memory", at: name))
          return
        }
        let what =
          if let frame = walk.cutFrame {
            "the file is cut in the data of pfn \(hex(frame))"
          } else if walk.position < content.size {
            "the file is cut in the header of a page"
          } else {
            "the file is cut, or has no end-of-dump page"
          }
        cut(what, missing, content, place)
      case .lost:
        cut("no page header is here, and none was found behind it", missing, content, place)
      }
      if walk.pages == 0 { findings.append(DumpError("the file holds no memory", at: name)) }
    }

    /// `missing`: pages, as far as the header says; 0 where it does not.
    private mutating func cut(_ what: String, _ missing: UInt64, _ content: any Content, _ place: String) {
      shortfall = Shortfall(expected: content.size == .max ? .max : content.size + 1, present: content.size)
      let pages = missing > 0 ? "\(missing) pages are missing" : "how many pages are missing is not known"
      findings.append(DumpError("\(what); \(pages)", at: place, advice: LKCDState.advice))
    }
  }
#endif
