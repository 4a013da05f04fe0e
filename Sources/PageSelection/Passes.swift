internal import CoreEncoding
internal import DumpBasics
internal import DumpSource

/// The passes of a dump of ours that is written anew: each piece of memory stays in the one it has.
struct EarlierPasses {
  private let ends: [UInt64]
  init(_ note: MCoreNote) { ends = note.passEnds }

  func pass(of piece: Coverage) -> Pass {
    // Between pass 2 and pass 3 lies the hole, whose zeros are of no pass.
    guard case .data(let offset) = piece.kind, let index = ends.firstIndex(where: { offset < $0 }),
      let pass = Pass(rawValue: UInt8(truncatingIfNeeded: index + 1))
    else { return .kernel }
    return pass
  }
}

/// `runs` (sorted, disjoint) in at most `limit` pieces as far as that can be had without keeping more: short runs join a
/// neighbour that is needed earlier, the shortest first. Nothing joins pass 1.
func coarsened(_ runs: [KeptRun], limit: Int, _ pageSize: PageSize) -> [KeptRun] {
  var runs = runs
  var short = pageSize.bytes
  while runs.count > limit, short < 1 << 40 {
    var result: [KeptRun] = []
    for run in runs {
      guard let last = result.last, last.range.end == run.range.start, last.pass != .witness, run.pass != .witness,
        last.pass == run.pass || (last.pass < run.pass ? run : last).range.count <= short
      else {
        result.append(run)
        continue
      }
      result[result.count - 1].range.end = run.range.end
      result[result.count - 1].pass = min(last.pass, run.pass)
    }
    runs = result
    short *= 2
  }
  return runs
}
