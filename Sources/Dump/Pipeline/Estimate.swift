internal import CoreEncoding
internal import CoreFormat
public import DumpBasics
public import DumpSource

extension Pipeline {
  /// Groups that are compressed for an estimate: some 16 MB of the dump, spread over all of it.
  private static let sampleCount = 16

  /// About how many bytes of a disk the dump file will take, from some groups of blocks; exact where those
  /// are all.
  public func estimatedSize(_ source: any DumpSource) throws(DumpError) -> UInt64 {
    let groupSize = UInt64(DumpTrailer.groupSize)
    let groups = DumpTrailer.groups(in: plan.trailerOffset)
    guard groups > 0 else { return 0 }
    let filler = GroupFiller(plan, source)
    let pace = CodecPace(speed, format, threads: 1)
    let worker = Worker(try format.makeEncoder(pace.effort), pace, looksAgain: filler.looksAgain, inGroups: false)
    let slot = Slot()
    let count = min(groups, UInt64(Pipeline.sampleCount))
    var (read, written): (UInt64, UInt64) = (0, 0)
    for index in 0..<count {
      let start = index * groups / count * groupSize
      let end = min(start + groupSize, plan.trailerOffset)
      slot.begin(plan.pageSize)
      var cursor = start
      while cursor < end {
        let piece = Int(min(UInt64(worker.fillSize), end - cursor))
        unsafe worker.encode(piece, into: slot.encoded) { unsafe filler.fill($0, from: cursor, slot, worker) }
        cursor += UInt64(piece)
      }
      read += end - start
      for case .bytes(let length) in slot.encoded.parts { written += UInt64(length) }
    }
    // Where all were taken, this is exact.
    let (high, low) = written.multipliedFullWidth(by: plan.trailerOffset)
    return high < read ? read.dividingFullWidth((high, low)).quotient : plan.trailerOffset
  }
}
