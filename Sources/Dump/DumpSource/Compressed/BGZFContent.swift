internal import CoreEncoding
internal import DumpBasics
internal import LinuxSystem
internal import Synchronization

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
  let bytesBehind: UInt64
  let format = "elf.gz"
  let inflatedBlocks = InflatedBlocks(limit: 8)
  /// The members behind an anchor, of anchors that were read from in small pieces.
  private let known = Mutex<[Int: [Member]]>([:])
  private static let knownLimit = 1024
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
        bytesBehind = end.isCorrupt ? 0 : fileSize - end.fileSize
        damage = problem
        isCorrupt = end.isCorrupt
        isEnded = true
        self.file = file
        return
      }
      problem = problemOfTrailer
    }
    ending = nil
    bytesBehind = 0
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
  /// is remembered in `walk`. Raw disks and transfers leave something behind a dump.
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

  // MARK: members

  /// One member between two anchors.
  private struct Member {
    /// Behind the anchor, in the compressed and in the uncompressed file.
    var compressed: Int
    var compressedCount: Int
    var start: UInt64
    var count: UInt64
  }

  /// Reads from the anchor before `offset` up to the next one at most; returns how many bytes it gave, at
  /// least 1.
  func inflate(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) -> Int {
    let index = anchors.partitionPoint { $0.uncompressed <= offset } - 1
    guard index >= 0 else { throw DumpError("no block for offset \(hex(offset))", at: name) }
    let inflater = try BGZFInflater()
    if let members = known.withLock({ $0[index] }) {
      // The members are known from an earlier read: only those that are wanted are read.
      let wanted = BGZFContent.members(members, offset, buffer.count)
      if let first = wanted.first, let last = wanted.last {
        let bytes = try file.bytes(
          at: anchors[index].compressed + UInt64(first.compressed),
          count: last.compressed + last.compressedCount - first.compressed)
        return unsafe try inflate(wanted, bytes, from: first.compressed, anchors[index], inflater, at: offset, into: buffer)
      }
    }
    let bytes = try file.bytes(at: anchors[index].compressed, count: compressedCount(index))
    let (members, damage) = members(bytes, index)
    let wanted = BGZFContent.members(members, offset, buffer.count)
    guard !wanted.isEmpty else {
      throw damage ?? DumpError("no block for offset \(hex(offset))", at: name, advice: "the file is damaged")
    }
    if damage == nil, buffer.count < DumpTrailer.groupSize / 2 {
      known.withLock { known in
        if known.count >= BGZFContent.knownLimit { known.removeAll(keepingCapacity: true) }
        known[index] = members
      }
    }
    return unsafe try inflate(wanted, bytes, from: 0, anchors[index], inflater, at: offset, into: buffer)
  }

  /// Compressed bytes between an anchor and the next.
  private func compressedCount(_ index: Int) -> Int {
    let start = anchors[index].compressed
    let isLast = index + 1 >= anchors.count
    let end = isLast ? compressedEnd : anchors[index + 1].compressed
    // An index that lies can't make this large: members between two anchors have at most 64 KiB each. Behind
    // the last one lies a whole trailer.
    let limit = UInt64((BGZFContent.membersPerAnchor + 2) * BGZF.maximumMember)
    return Int(isLast ? end - start : min(end - start, limit))
  }

  /// The whole members in `bytes`, which begin at an anchor; and what is wrong among them.
  ///
  /// In a dump of ours every member before the trailer holds the same number of bytes. So one whose header or
  /// size is damaged costs itself alone: those behind it are found by their headers, and counted from the
  /// next anchor back. The last one before the damage may be what leads astray, so the search begins there.
  private func members(_ bytes: [UInt8], _ index: Int) -> ([Member], DumpError?) {
    let anchor = anchors[index]
    let isOurs = ending != nil && index + 1 < anchors.count
    var members: [Member] = []
    var position = 0
    var start = anchor.uncompressed
    while position < bytes.count {
      guard let size = BGZFContent.member(bytes, position), let content = BGZFContent.little32(bytes, position + size - 4),
        isOurs || content <= UInt32(BGZF.maximumMember)
      else {
        let damage = DumpError(
          "no BGZF block here", at: "\(name), offset \(hex(anchor.compressed + UInt64(position)))", advice: "the file is damaged")
        guard isOurs else { return (members, damage) }
        let from = members.last?.compressed ?? position
        return (members + membersBehind(bytes, from, end: anchors[index + 1].uncompressed), damage)
      }
      let count = isOurs ? UInt64(BGZF.blockSize) : UInt64(content)
      members.append(Member(compressed: position, compressedCount: size, start: start, count: count))
      position += size
      start += count
    }
    // A wrong size that leads to a later member by chance: what lies behind it would be taken for other
    // memory.
    if isOurs, start != anchors[index + 1].uncompressed {
      let place = "\(name), offset \(hex(anchor.compressed))"
      let what = "the blocks from here on are not as many as the index says"
      return ([], DumpError(what, at: place, advice: "the file is damaged"))
    }
    return (members, nil)
  }

  /// The members of a group of ours behind damage at `position`: the longest chain that leads to the end of
  /// `bytes`.
  private func membersBehind(_ bytes: [UInt8], _ position: Int, end: UInt64) -> [Member] {
    var first = position + 1
    while first + BGZF.headerSize <= bytes.count {
      if bytes[first] == 0x1f, let chain = BGZFContent.chain(bytes, from: first) {
        let start = end - min(end, UInt64(chain.count * BGZF.blockSize))
        return chain.enumerated().map { number, member in
          Member(
            compressed: member.lowerBound, compressedCount: member.count,
            start: start + UInt64(number * BGZF.blockSize), count: UInt64(BGZF.blockSize))
        }
      }
      first += 1
    }
    return []
  }

  /// Members one behind the other from `first` to the end of `bytes`; nil where they do not lead there.
  private static func chain(_ bytes: [UInt8], from first: Int) -> [Range<Int>]? {
    var members: [Range<Int>] = []
    var position = first
    while position < bytes.count {
      guard let size = member(bytes, position), members.count < membersPerAnchor else { return nil }
      members.append(position..<position + size)
      position += size
    }
    return members
  }

  /// The size of the member at `position`, if it is whole.
  private static func member(_ bytes: [UInt8], _ position: Int) -> Int? {
    BGZF.memberSize(Array(bytes[position..<min(bytes.count, position + BGZF.headerSize)]))
      .flatMap { position + $0 <= bytes.count ? $0 : nil }
  }

  private static func little32(_ bytes: [UInt8], _ offset: Int) -> UInt32? {
    guard offset >= 0, offset + 4 <= bytes.count else { return nil }
    return bytes[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// Those that hold a byte of `count` from `offset` on; none where the first one is not there.
  private static func members(_ members: [Member], _ offset: UInt64, _ count: Int) -> ArraySlice<Member> {
    let first = members.partitionPoint { $0.start + $0.count <= offset }
    let end = members.partitionPoint { $0.start < clampedSum(offset, UInt64(count)) }
    return first < end && members[first].start <= offset ? members[first..<end] : []
  }

  /// `bytes` begin `skipped` behind the anchor. Whole members go straight into `buffer`.
  private func inflate(
    _ members: ArraySlice<Member>, _ bytes: [UInt8], from skipped: Int, _ anchor: Anchor, _ inflater: BGZFInflater,
    at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DumpError) -> Int {
    var done = 0
    for member in members where member.count > 0 {
      let position = member.compressed - skipped
      guard position >= 0, position + member.compressedCount <= bytes.count else { break }
      let place = "\(name), offset \(hex(anchor.compressed + UInt64(member.compressed)))"
      let wanted = offset + UInt64(done)
      let data = bytes[position..<position + member.compressedCount]
      if wanted == member.start, member.count <= UInt64(buffer.count - done) {
        let whole = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + Int(member.count)])
        unsafe try data.lent { (data) throws(DumpError) in unsafe try inflater.inflate(data, into: whole, at: place) }
        done += Int(member.count)
      } else {
        let block = try inflater.content(of: data, at: place)
        let skip = Int(wanted - member.start)
        guard skip < block.count else { throw DumpError("a block has changed since it was looked at", at: place) }
        let count = min(block.count - skip, buffer.count - done)
        unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count]).copyBytes(from: block[skip..<skip + count])
        done += count
        inflatedBlocks.remember(block, at: member.start)
      }
    }
    guard done > 0 else { throw DumpError("no block for offset \(hex(offset))", at: name, advice: "the file is damaged") }
    return done
  }
}
