import DumpBasics
import DumpSource
import Foundation

/// A sound file, and the memory that it stands for.
public struct FileImage: Sendable {
  public let name: String
  public let path: String
  public let size: Int
  /// Entries of the program header table of a plain ELF; 0 of anything else.
  let programHeaders: Int
  /// Where the notes stand in a plain ELF, and where each begins.
  let notes: Range<Int>
  let noteOffsets: [Int]
  /// Where what is looked at stands in memory: pieces of at most a page.
  let pages: [PhysicalRange]
  /// What stands there.
  let truth: [[UInt8]]
  /// Bytes of the uncompressed file that one damaged byte may cost: a member of elf.gz, a frame of elf.zst, a
  /// page.
  let unit: Int
  /// For each page its offset in the uncompressed file.
  let offsets: [UInt64]
  let isOurs: Bool
  /// Of a kdump-compressed file: what is in its two headers, the bitmap of pages, and the descriptors.
  let kdump: KdumpParts?
  struct KdumpParts: Sendable {
    let headers: [Range<Int>]
    let bitmap: Range<Int>
    let descriptors: Range<Int>
  }

  /// `limit`: how many pages are looked at; they are spread over all of the memory.
  public init(_ path: String, name: String, pageLimit limit: Int = 4096) throws {
    self.path = path
    self.name = name
    let source = try openDump(path)
    size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    let start = try FileImage.read(path, 0, 64)
    let isPlain = start.starts(with: [0x7f, 0x45, 0x4c, 0x46])
    kdump = try FileImage.kdumpParts(path, start, pages: source.coverage().reduce(0) { $0 + $1.range.count / 4096 })
    unit = isPlain || kdump != nil ? 4096 : start.starts(with: [0x1f, 0x8b]) ? 61_440 : 983_040
    isOurs = source.metadata != nil || kdump != nil && source.statement != nil
    let reader = ByteReader(start, .little)
    programHeaders = isPlain ? Int(reader.u16(56) ?? 0) : 0
    var notes = 0..<0
    var offsets: [Int] = []
    if isPlain, let first = ByteReader(try FileImage.read(path, 64, 56), .little).u64(8),
      let count = ByteReader(try FileImage.read(path, 64, 56), .little).u64(32)
    {
      notes = Int(first)..<Int(first + count)
      let bytes = ByteReader(try FileImage.read(path, Int(first), Int(count)), .little)
      var offset = 0
      while offset + 12 <= Int(count), let name = bytes.u32(offset), let size = bytes.u32(offset + 4) {
        offsets.append(Int(first) + offset)
        offset += 12 + (Int(name) + 3) / 4 * 4 + (Int(size) + 3) / 4 * 4
      }
    }
    self.notes = notes
    noteOffsets = offsets
    var pages: [PhysicalRange] = []
    var places: [UInt64] = []
    let total = source.coverage().reduce(0) { $0 + $1.range.count / 4096 + 1 }
    let step = max(1, Int(total) / limit)
    var number = 0
    for piece in source.coverage() {
      guard case .data(let offset) = piece.kind else { continue }
      var start = piece.range.start
      while start < piece.range.end {
        let end = min(piece.range.end, (start / 4096 + 1) * 4096)
        if number % step == 0, let page = PhysicalRange(start, end) {
          pages.append(page)
          places.append(offset + (start - piece.range.start))
        }
        number += 1
        start = end
      }
    }
    self.pages = pages
    self.offsets = places
    truth = try pages.map { try source.bytes(at: PhysicalAddress($0.start), count: Int($0.count)) }
  }

  private static func kdumpParts(_ path: String, _ start: [UInt8], pages: UInt64) throws -> KdumpParts? {
    guard start.starts(with: Array("KDUMP   ".utf8)) else { return nil }
    let header = ByteReader(try read(path, 0, 464), .little)
    let block = Int(header.u32(428) ?? 0)
    let bitmaps = (1 + Int(header.u32(432) ?? 0)) * block
    let half = Int(header.u32(436) ?? 0) / 2 * block
    let descriptors = bitmaps + 2 * half
    // The bitmap as far as there are frames; both headers without the names of the kernel, which nothing
    // depends on.
    let frames = Int(ByteReader(try read(path, block, 104), .little).u64(96) ?? 0)
    return KdumpParts(
      headers: [0..<12, 272..<279, 424..<444, block + 8..<block + 104], bitmap: bitmaps + half..<bitmaps + half + frames / 8,
      descriptors: descriptors..<descriptors + Int(pages) * 24)
  }

  /// Which stretch of memory, in one piece, a page is in.
  func segment(of index: Int) -> Int {
    var first = index
    while first > 0, pages[first - 1].end <= pages[first].start, pages[first].start - pages[first - 1].end < 1 << 20,
      offsets[first] > offsets[first - 1]
    {
      first -= 1
    }
    return first
  }

  func bytes(_ offset: Int, _ count: Int) -> [UInt8] { (try? FileImage.read(path, offset, count)) ?? [] }

  private static func read(_ path: String, _ offset: Int, _ count: Int) throws -> [UInt8] {
    let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
    defer { try? file.close() }
    try file.seek(toOffset: UInt64(offset))
    return Array(try file.read(upToCount: count) ?? Data())
  }
}
