#if Kdump
  internal import CoreEncoding
  internal import DumpBasics

  /// The headers of a file of LKCD, and where its pages begin, after the claims were checked against the
  /// file.
  struct LKCDLayout: Sendable {
    let header: LKCDHeader
    /// Where the first page header is, in bytes of the file.
    let pages: UInt64
    /// The registers, as notes.
    let notes: [DumpNote]
    let doubts: [DumpError]

    /// Where pages begin in version 8: LKCD's DUMP_BUFFER_SIZE, LKCD_OFFSET_TO_FIRST_PAGE of crash and
    /// libkdumpfile.
    private static let usualStart: UInt64 = 64 << 10
    /// DUMP_BUFFER_SIZE of kernels with pages of 64 KiB, and of libkdumpfile's test generator.
    private static let largeStart: UInt64 = 256 << 10

    /// - Throws: what `LKCDHeader` does.
    init(_ content: any Content) throws(DumpError) {
      let name = content.name
      let header = try LKCDHeader(try content.start(LKCDHeader.size), name: name)
      var doubts = header.doubts
      let stated = header.bufferSize ?? LKCDLayout.usualStart
      var starts = [stated]
      for start in [LKCDLayout.usualStart, LKCDLayout.largeStart] where start != stated { starts.append(start) }
      let found = starts.first { LKCDLayout.isStart($0, content, header) }
      // crash 8.0.2 takes 64 KiB for version 10, whatever it says.
      if let found, found != stated {
        doubts.append(
          DumpError(
            "dh_dump_buffer_size is \(hex(stated)), and the pages begin at \(hex(found))", at: "\(name), offset 0x2de"))
      }
      pages = found ?? stated
      notes = LKCDLayout.notes(content, header, pages, &doubts)
      self.header = header
      self.doubts = doubts
    }

    /// Whether a page header stands there, or the end of the dump.
    private static func isStart(_ offset: UInt64, _ content: any Content, _ header: LKCDHeader) -> Bool {
      guard offset >= UInt64(LKCDHeader.shortSize) else { return false }
      var window = LKCDWindow(content)
      return window.header(at: offset).map { $0.isEnd || LKCDRule(header).isPage($0) } ?? false
    }

    private static func notes(
      _ content: any Content, _ header: LKCDHeader, _ pages: UInt64, _ doubts: inout [DumpError]
    ) -> [DumpNote] {
      // It stands right behind the header, whatever that says of its own size.
      let places = [UInt64(header.headerSize), UInt64(header.version >= 9 ? LKCDHeader.size : LKCDHeader.shortSize)]
      for place in places where content.size > place {
        let present = Int(min(UInt64(LKCDRegisters.size), content.size - place))
        guard let start = try? content.bytes(at: place, count: present), let registers = LKCDRegisters(start) else { continue }
        let count = min(UInt64(registers.count), content.size - place)
        guard let bytes = try? content.bytes(at: place, count: Int(count)) else { continue }
        return registers.notes(bytes)
      }
      doubts.append(
        DumpError("no header of registers stands behind the header", at: "\(content.name), offset \(hex(places[0]))"))
      return []
    }
  }
#endif
