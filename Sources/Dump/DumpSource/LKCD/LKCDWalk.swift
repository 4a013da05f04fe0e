#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// All page headers of a file of LKCD, walked once: nothing else says where a page is.
  struct LKCDWalk {
    /// How the walk ended.
    enum End: Equatable {
      /// At the end-of-dump page.
      case marked(isTruncated: Bool)
      /// Where the file does: behind a page, or in a header or in the data of a page.
      case file
      /// Where no page header is, and none was found behind it.
      case lost
    }

    private(set) var index = LKCDIndex()
    private(set) var end = End.file
    /// Where it ended, in bytes of the file.
    private(set) var position: UInt64
    /// The page whose data the file ends in.
    private(set) var cutFrame: UInt64?
    /// Headers of pages, those that stand there again among them.
    private(set) var pages: UInt64 = 0
    /// Where no page header was where one should be, and where the next one was found: the first of them,
    /// and how many there are.
    private(set) var gaps: [(expected: UInt64, found: UInt64)] = []
    private(set) var gapCount = 0
    /// The first compressed pages: where their data stands.
    private(set) var samples: [Range<UInt64>] = []

    private static let gapLimit = 8
    private static let sampleLimit = 32
    private let pageSize: PageSize
    private let rule: LKCDRule
    private var window: LKCDWindow
    private var search = LKCDSearch()

    /// The pages from `start` on.
    ///
    /// - Throws: when they are in too many places.
    init(_ content: any Content, from start: UInt64, _ header: LKCDHeader) throws(DumpError) {
      pageSize = header.pageSize
      rule = LKCDRule(header)
      window = LKCDWindow(content)
      position = start
      try walk(content)
      index.settle()
    }

    private mutating func walk(_ content: any Content) throws(DumpError) {
      /// Where the header that came before may be wrong about how much data it has.
      var doubtful = position
      while position < content.size {
        let header = window.header(at: position)
        if let header, header.isEnd {
          end = .marked(isTruncated: header.flags & LKCDPageHeader.truncated != 0)
          position += UInt64(LKCDPageHeader.size)
          return
        }
        if header == nil, content.size - position < UInt64(LKCDPageHeader.size) { return }
        if let header, rule.isPage(header) {
          let frame = header.address >> pageSize.shift
          let (next, overflow) = position.addingReportingOverflow(UInt64(LKCDPageHeader.size) + UInt64(header.count))
          let isRight = header.hasRightSize(pageSize)
          if isRight, overflow || next > content.size {
            cutFrame = frame
            return
          }
          // A size that can't be costs its page alone, if it leads to the next header. A raw page without
          // data is one only if it does.
          if !overflow, isRight && header.count > 0 || rule.isLink(next, &window) {
            pages += 1
            // What is of no use is not read either.
            let span = UInt32(LKCDPageHeader.size) + (isRight ? header.count : 0)
            index.append(frame, at: position, span: span)
            guard !index.isFull else {
              throw DumpError(
                .unsupported, "pages in more than \(LKCDIndex.limit) places", at: "\(content.name), offset \(hex(position))",
                advice: "the file is damaged, or of a machine larger than mcore knows")
            }
            if header.flags & LKCDPageHeader.compressed != 0, isRight, samples.count < LKCDWalk.sampleLimit {
              samples.append(position + UInt64(LKCDPageHeader.size)..<next)
            }
            doubtful = header.flags & LKCDPageHeader.raw != 0 ? next : position + UInt64(LKCDPageHeader.size)
            position = next
            continue
          }
        }
        guard let found = search.next(from: doubtful, content, rule) else {
          end = .lost
          return
        }
        gapCount += 1
        if gaps.count < LKCDWalk.gapLimit { gaps.append((position, found)) }
        position = found
        doubtful = found
      }
    }
  }
#endif
