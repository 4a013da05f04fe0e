internal import CoreEncoding
internal import DumpBasics
internal import DumpPlan
internal import DumpSource

/// Whether the crashed machine's memory held still while it was read. A device that nobody stopped goes on
/// writing by DMA, and what it wrote last is in the dump as if the kernel had seen it.
///
/// Some pages, spread over all that is kept, are read before the first byte is written and again after the
/// last one.
struct QuiescenceSample {
  /// Pages at most: 4 MiB twice, in small pages.
  static let limit: UInt64 = 1024

  private let pageSize: PageSize
  private var pages: [(range: PhysicalRange, checksum: UInt32)] = []
  var count: UInt64 { UInt64(pages.count) }

  /// Pages that can't be read are not in it: they are reported anyway.
  init(_ plan: DumpPlan, _ source: any DumpSource) {
    pageSize = plan.pageSize
    let total = plan.pieces.reduce(0) { $0 + $1.memory.count } >> pageSize.shift
    let step = max(1, (total + QuiescenceSample.limit - 1) / QuiescenceSample.limit)
    // Counts pages over all pieces; each page whose number is a multiple of `step` is taken.
    var number: UInt64 = 0
    for piece in plan.pieces {
      let first = piece.memory.start >> pageSize.shift
      let inPiece = piece.memory.count >> pageSize.shift
      var wanted = (number + step - 1) / step * step
      while wanted < number + inPiece, count < QuiescenceSample.limit {
        let start = (first + (wanted - number)) << pageSize.shift
        if let range = PhysicalRange(start: start, count: pageSize.bytes)?.intersection(piece.memory),
          let checksum = QuiescenceSample.checksum(range, source)
        {
          pages.append((range, checksum))
        }
        wanted += step
      }
      number += inPiece
    }
  }

  /// Those that are not what they were, or can't be read any more; ascending.
  func changed(_ source: any DumpSource) -> [PhysicalRange] {
    RangeSet.joined(pages.filter { QuiescenceSample.checksum($0.range, source) != $0.checksum }.map(\.range))
  }

  private static func checksum(_ range: PhysicalRange, _ source: any DumpSource) -> UInt32? {
    (try? source.bytes(at: PhysicalAddress(range.start), count: Int(range.count))).map { CRC32.of($0) }
  }
}
