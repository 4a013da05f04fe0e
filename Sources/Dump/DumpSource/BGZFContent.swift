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
  let format = "elf.gz"
  let inflatedBlocks = InflatedBlocks(limit: 8)
  /// The members behind an anchor, of anchors that were read from in small pieces.
  private let known = Mutex<[Int: [Member]]>([:])
  private static let knownLimit = 1024
  var name: String { file.path }

  init(_ file: consuming File) throws(DumpError) {
    let fileSize = try file.size()
    var trailerProblem: DumpError?
    if let footer = try BGZFContent.footer(file, fileSize) {
      let (trailer, problem) = BGZFContent.trailer(file, footer, fileSize)
      if let trailer, problem == nil {
        var anchors = trailer.groupOffsets.enumerated().map {
          Anchor(uncompressed: UInt64($0.offset) * UInt64(DumpTrailer.groupSize), compressed: $0.element)
        }
        anchors.append(Anchor(uncompressed: footer.trailerOffset, compressed: footer.compressedTrailerOffset))
        self.anchors = anchors
        ending = DumpEnding(footer: footer, trailer: trailer)
        size = footer.fileSize
        compressedEnd = fileSize
        damage = nil
        isCorrupt = false
        isEnded = true
        self.file = file
        return
      }
      trailerProblem = problem
    }
    ending = nil
    let walk = try BGZFContent.walk(file, fileSize)
    anchors = walk.anchors
    size = walk.size
    compressedEnd = walk.end
    damage = walk.damage ?? trailerProblem
    isCorrupt = walk.isCorrupt || trailerProblem != nil
    isEnded = walk.damage == nil && walk.endsWithMark
    self.file = file
  }

  /// The footer, if the file ends with one and the end-of-file member.
  private static func footer(_ file: borrowing File, _ fileSize: UInt64) throws(DumpError) -> DumpFooter? {
    let memberSize = BGZF.storedMemberSize(DumpFooter.size)
    let tailSize = memberSize + BGZF.endOfFile.count
    guard fileSize >= UInt64(tailSize) else { return nil }
    let tail = try file.bytes(at: fileSize - UInt64(tailSize), count: tailSize)
    guard tail.count == tailSize, Array(tail[memberSize...]) == BGZF.endOfFile else { return nil }
    let start = BGZF.headerSize + 5
    let content = Array(tail[start..<start + DumpFooter.size])
    guard let footer = DumpFooter(content), BGZF.storedMember(content) == Array(tail[0..<memberSize]) else { return nil }
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
        content += try inflated(bytes[position..<position + member], inflater, at: "\(file.path), trailer")
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

  /// One member's content.
  private static func inflated(
    _ member: ArraySlice<UInt8>, _ inflater: BGZFInflater, at place: @autoclosure () -> String
  ) throws(DumpError) -> [UInt8] {
    var output: [UInt8] = []
    unsafe try member.lent { (member) throws(DumpError) in
      let size = unsafe BGZFInflater.contentSize(member) ?? 0
      output = unsafe try [UInt8].filled(size) { (buffer) throws(DumpError) in
        unsafe try inflater.inflate(member, into: buffer, at: place())
      }
    }
    return output
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
    let (members, damage) = members(bytes, anchors[index])
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

  /// The whole members in `bytes`, which begin at `anchor`; and what is wrong behind them.
  private func members(_ bytes: [UInt8], _ anchor: Anchor) -> ([Member], DumpError?) {
    var members: [Member] = []
    var position = 0
    var start = anchor.uncompressed
    while position < bytes.count {
      guard let size = BGZF.memberSize(Array(bytes[position..<min(bytes.count, position + BGZF.headerSize)])),
        position + size <= bytes.count, let content = BGZFContent.little32(bytes, position + size - 4),
        content <= UInt32(BGZF.maximumMember)
      else {
        return (
          members,
          DumpError(
            "no BGZF block here", at: "\(name), offset \(hex(anchor.compressed + UInt64(position)))",
            advice: "the file is damaged")
        )
      }
      members.append(Member(compressed: position, compressedCount: size, start: start, count: UInt64(content)))
      position += size
      start += UInt64(content)
    }
    return (members, nil)
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
        let block = try BGZFContent.inflated(data, inflater, at: place)
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
