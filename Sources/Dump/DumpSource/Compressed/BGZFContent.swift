internal import CoreEncoding
internal import DumpBasics
internal import LinuxSystem

/// A file compressed as BGZF, read at any offset. In a dump of ours the footer leads to an index; in a
/// foreign or cut one the members are walked once by their headers, which inflates nothing.
final class BGZFContent: CompressedContent {
  /// A place from which members can be walked. Between two neighbours lie at most a few MiB of compressed
  /// data.
  private struct Anchor {
    var uncompressed: UInt64
    var compressed: UInt64
  }

  /// How many members a walk passes between two anchors.
  private static let membersPerAnchor = DumpTrailer.blocksPerGroup

  private let file: File
  private let anchors: [Anchor]
  private let compressedEnd: UInt64
  let size: UInt64
  let damage: DumpError?
  let isCorrupt: Bool
  let isEnded: Bool
  let ending: DumpEnding?
  let format = "elf.gz"
  let inflatedBlocks = InflatedBlocks(limit: 8)
  var name: String { file.path }

  init(_ file: consuming File) throws(DumpError) {
    let fileSize = try file.size()
    var problem: DumpError?
    var walk: Walk?
    if let end = try BGZFContent.ending(file, fileSize, &walk, &problem) {
      let (trailer, problemOfTrailer) = BGZFContent.trailer(file, end.footer, end.fileSize)
      if let trailer, problemOfTrailer == nil {
        var anchors = trailer.groupOffsets.enumerated().map {
          Anchor(uncompressed: UInt64($0.offset) * UInt64(DumpTrailer.groupSize), compressed: $0.element)
        }
        anchors.append(Anchor(uncompressed: end.footer.trailerOffset, compressed: end.footer.compressedTrailerOffset))
        self.anchors = anchors
        ending = DumpEnding(footer: end.footer, trailer: trailer)
        size = end.footer.fileSize
        compressedEnd = end.fileSize
        damage = problem
        isCorrupt = end.isCorrupt
        isEnded = true
        self.file = file
        return
      }
      problem = problemOfTrailer
    }
    ending = nil
    let walked = if let walk { walk } else { try BGZFContent.walk(file, fileSize) }
    anchors = walked.anchors
    size = walked.size
    compressedEnd = walked.end
    damage = walked.damage ?? problem
    isCorrupt = walked.isCorrupt || problem != nil
    isEnded = walked.damage == nil && walked.endsWithMark
    self.file = file
  }

  /// A footer, where the file ends behind it, and whether the mark of that end is damaged.
  private struct End {
    var footer: DumpFooter
    var fileSize: UInt64
    var isCorrupt = false
  }

  /// The footer: right before the end-of-file member, where the file ends; else where the members lead, which
  /// is remembered in `walk`. Raw disks and transfers leave something behind a dump; that is told in
  /// `problem`.
  private static func ending(
    _ file: borrowing File, _ fileSize: UInt64, _ walk: inout Walk?, _ problem: inout DumpError?
  ) throws(DumpError) -> End? {
    let mark = UInt64(BGZF.endOfFile.count)
    if fileSize > mark, try file.bytes(at: fileSize - mark, count: Int(mark)) == BGZF.endOfFile,
      let footer = try footer(file, before: fileSize - mark)
    {
      return End(footer: footer, fileSize: fileSize)
    }
    let found = try BGZFContent.walk(file, fileSize)
    walk = found
    let place = "\(file.path), offset \(hex(found.end))"
    if found.endsWithMark, found.end < fileSize, let footer = try footer(file, before: found.end - mark) {
      problem = DumpError("\(fileSize - found.end) bytes behind the end of the dump are no part of it", at: place)
      return End(footer: footer, fileSize: found.end)
    }
    if found.isCorrupt, let footer = try footer(file, before: found.end) {
      problem = DumpError("the mark of the file's end is damaged", at: place, advice: "the dump itself is all there")
      return End(footer: footer, fileSize: found.end, isCorrupt: true)
    }
    return nil
  }

  /// The footer, if its member ends at `end`.
  private static func footer(_ file: borrowing File, before end: UInt64) throws(DumpError) -> DumpFooter? {
    let memberSize = BGZF.storedMemberSize(DumpFooter.size)
    guard end >= UInt64(memberSize) else { return nil }
    let member = try file.bytes(at: end - UInt64(memberSize), count: memberSize)
    let start = BGZF.headerSize + 5
    guard member.count == memberSize else { return nil }
    let content = Array(member[start..<start + DumpFooter.size])
    guard let footer = DumpFooter(content), BGZF.storedMember(content) == member else { return nil }
    return footer
  }

  /// Reads the trailer by inflating its members. Its size was written by us but is still only a claim: it is
  /// bounded by what a file of this size can have.
  private static func trailer(
    _ file: borrowing File, _ footer: DumpFooter, _ fileSize: UInt64
  ) -> (DumpTrailer?, DumpError?) {
    do throws(DumpError) {
      guard footer.compressedTrailerOffset < fileSize else {
        throw DumpError("footer points past the end", at: file.path)
      }
      let compressed = fileSize - footer.compressedTrailerOffset
      let groups = DumpTrailer.groups(in: footer.trailerOffset)
      // No group is smaller than its 16 headers; the index has 12 bytes a group; 64 MiB are four million
      // unreadable ranges.
      guard groups <= fileSize / 256 + 1, footer.trailerSize <= 64 << 20 + 16 * groups,
        compressed <= footer.trailerSize + footer.trailerSize / 8 + 1 << 16
      else { throw DumpError("trailer is too large: \(footer.trailerSize) bytes", at: file.path) }
      let bytes = try file.bytes(at: footer.compressedTrailerOffset, count: Int(compressed))
      let inflater = try BGZFInflater()
      var content: [UInt8] = []
      var position = 0
      while content.count < Int(footer.trailerSize) {
        guard let member = BGZF.memberSize(Array(bytes[position..<min(bytes.count, position + BGZF.headerSize)])),
          position + member <= bytes.count
        else { throw DumpError("trailer is cut", at: file.path) }
        content += try inflater.content(of: bytes[position..<position + member], at: "\(file.path), trailer")
        position += member
      }
      let trailer = try DumpTrailer(content, at: "\(file.path), trailer")
      let sorted = zip(trailer.groupOffsets, trailer.groupOffsets.dropFirst()).allSatisfy { $0 < $1 }
      guard UInt64(trailer.groupOffsets.count) == groups, sorted,
        trailer.groupOffsets.last.map({ $0 < footer.compressedTrailerOffset }) ?? true
      else { throw DumpError("index of blocks does not fit the file", at: "\(file.path), trailer") }
      return (trailer, nil)
    } catch {
      return (nil, error)
    }
  }

  private struct Walk {
    var anchors: [Anchor] = []
    /// Uncompressed bytes of all whole members.
    var size: UInt64 = 0
    /// Compressed offset behind the last one.
    var end: UInt64 = 0
    var damage: DumpError?
    /// Whether what stopped the walk is there and wrong, not missing.
    var isCorrupt = false
    var endsWithMark = false
  }

  /// Goes from header to header to the end, or to where the file is cut or no BGZF any more.
  private static func walk(
    _ file: borrowing File, _ fileSize: UInt64
  ) throws(DumpError) -> Walk {
    var walk = Walk()
    var members = 0
    var header = try file.bytes(at: 0, count: BGZF.headerSize)
    while walk.end < fileSize {
      let place = "\(file.path), offset \(hex(walk.end))"
      guard let member = BGZF.memberSize(header) else {
        walk.isCorrupt = header.count >= BGZF.headerSize
        walk.damage =
          walk.isCorrupt
          ? DumpError("no BGZF block here", at: place, advice: "the file is damaged, or gzip of another kind")
          : DumpError("the file is cut in a block's header", at: place)
        break
      }
      let next = walk.end + UInt64(member)
      // One read gives this member's size of content and the header of the next.
      let tail = try file.bytes(at: next - 4, count: 4 + BGZF.headerSize)
      guard next <= fileSize, let content = ByteReader(tail, .little).u32(0), content <= UInt32(BGZF.maximumMember) else {
        walk.isCorrupt = next <= fileSize
        walk.damage = DumpError(walk.isCorrupt ? "damaged block" : "the file is cut in a block", at: place)
        break
      }
      if members % membersPerAnchor == 0 { walk.anchors.append(Anchor(uncompressed: walk.size, compressed: walk.end)) }
      members += 1
      walk.size += UInt64(content)
      walk.end = next
      walk.endsWithMark = content == 0
      header = Array(tail[4...])
    }
    return walk
  }

  /// Reads from the anchor before `offset` up to the next one; returns how many bytes it gave, at least 1.
  func inflate(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) -> Int {
    let index = anchors.partitionPoint { $0.uncompressed <= offset } - 1
    guard index >= 0 else { throw DumpError("no block for offset \(hex(offset))", at: name) }
    let anchor = anchors[index]
    let compressedEnd = index + 1 < anchors.count ? anchors[index + 1].compressed : self.compressedEnd
    // An index that lies can't make this large: members between two anchors have at most 64 KiB each.
    let limit = UInt64((BGZFContent.membersPerAnchor + 2) * BGZF.maximumMember)
    // Behind the last anchor lies a whole trailer, in pieces: only what is needed is read.
    let length = min(
      compressedEnd - anchor.compressed, max(limit, index + 1 < anchors.count ? 0 : self.compressedEnd - anchor.compressed))
    let bytes = try file.bytes(at: anchor.compressed, count: Int(length))
    let inflater = try BGZFInflater()
    var position = 0
    var start = anchor.uncompressed
    var done = 0
    while position < bytes.count, done < buffer.count {
      let place = "\(name), offset \(hex(anchor.compressed + UInt64(position)))"
      guard let member = BGZF.memberSize(Array(bytes[position..<min(bytes.count, position + BGZF.headerSize)])),
        position + member <= bytes.count, let content = ByteReader(bytes, .little).u32(position + member - 4)
      else { throw DumpError("no BGZF block here", at: place, advice: "the file is damaged") }
      let end = start + UInt64(content)
      let wanted = offset + UInt64(done)
      if wanted < end {
        let block = try inflater.content(of: bytes[position..<position + member], at: place)
        let skip = Int(wanted - start)
        let count = min(block.count - skip, buffer.count - done)
        unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count]).copyBytes(from: block[skip..<skip + count])
        done += count
        if count < block.count { inflatedBlocks.remember(block, at: start) }
      }
      position += member
      start = end
    }
    guard done > 0 else { throw DumpError("no block for offset \(hex(offset))", at: name, advice: "the file is damaged") }
    return done
  }
}
