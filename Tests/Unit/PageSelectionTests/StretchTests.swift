import DumpBasics
import Testing

@testable import PageSelection

/// Stretches from a picture: a letter for each page. `1` witness, `k` kernel, `u` user, `c` cache, `f` free,
/// all kept; `.` and `,` left out, as two classes; a blank is no memory.
private func stretches(_ picture: String) -> [Stretch] {
  var result: [Stretch] = []
  for (index, letter) in picture.enumerated() where letter != " " {
    let passes: [Character: Pass] = ["1": .witness, "k": .kernel, "u": .user, "c": .cache, "f": .free]
    let fate: Stretch.Fate = passes[letter].map { .kept(.init(pass: $0)) } ?? .leftOut(letter == "." ? 1 : 2)
    guard let range = PhysicalRange(start: UInt64(index) * 4096, count: 4096) else { continue }
    if let last = result.last, last.fate == fate, last.range.end == range.start {
      result[result.count - 1].range.end = range.end
    } else {
      result.append(Stretch(range: range, fate: fate))
    }
  }
  return result
}

private func picture(_ stretches: [Stretch], _ length: Int) -> String {
  var letters = [Character](repeating: " ", count: length)
  for stretch in stretches {
    let letter: Character =
      switch stretch.fate {
      case .kept(.init(pass: .witness)): "1"
      case .kept(.init(pass: .kernel)): "k"
      case .kept(.init(pass: .user)): "u"
      case .kept(.init(pass: .cache)): "c"
      case .kept(.init(pass: .free)): "f"
      case .kept: "?"
      case .leftOut(let number): number == 1 ? "." : ","
      }
    for page in stretch.range.start / 4096..<stretch.range.end / 4096 { letters[Int(page)] = letter }
  }
  return String(letters)
}

private func merged(_ before: String, kept: UInt64, gap: UInt64) -> (String, StretchMerger) {
  var merger = StretchMerger(.init(kept: kept * 4096, gap: gap * 4096))
  var result: [Stretch] = []
  for stretch in stretches(before) { merger.add(stretch) { result.append($0) } }
  merger.finish { result.append($0) }
  #expect(result.map(\.range.start) == result.map(\.range.start).sorted(), "ascending")
  return (picture(result, before.count), merger)
}

@Test(arguments: [
  // Nothing is short: nothing changes.
  ("kk.kuu1,, k.,k", 0, 0, "kk.kuu1,, k.,k"),
  // Shorter than 3 pages, and a neighbour is needed earlier: user and cache move, in both directions.
  ("kkkkuukkkkcckkk", 3, 0, "kkkkkkkkkkkkkkk"),
  ("uuukkkkkcc", 3, 0, "uuukkkkkkk"),
  // A short stretch that is needed earlier stays, whatever lies around it.
  ("uuuukuuuu", 1, 0, "uuuukuuuu"),
  // Nothing joins pass 1, and over a hole nothing is joined.
  ("11uu1k", 9, 9, "11uu1k"),
  ("kk uu", 9, 9, "kk uu"),
  // Gaps below 3 pages are kept when kept memory lies on both sides.
  ("kk..kk...kk.,kk", 0, 3, "kkkkkk...kkkkkk"),
  ("..kk..", 0, 9, "..kk.."),
  ("kk. .kk", 0, 9, "kk. .kk"),
  ("kk.,.kk.", 0, 3, "kk.,.kk."),
])
func shortStretchesJoinWhatIsNeededEarlier(before: String, kept: Int, gap: Int, after: String) {
  #expect(merged(before, kept: UInt64(kept), gap: UInt64(gap)).0 == after)
}

@Test func closedGapsAreCounted() {
  let merger = merged("k.k..k...k k.", kept: 0, gap: 3).1
  #expect(merger.closedGaps == 2)
  #expect(merger.closedBytes == 3 * 4096)
}

@Test func limitsGetCoarserUntilTheyFit() {
  guard let pageSize = PageSize(bytes: 4096) else { return #expect(Bool(false)) }
  var asked: [UInt64] = []
  let last = StretchMerger.Limits.first(of: pageSize) { limits in
    #expect(limits.kept >= asked.last ?? 0)
    asked.append(limits.kept)
    return false
  }
  #expect(asked.count == 26)
  // 2^40 bytes of fragments are nothing that a selection of 150,000 stretches can't hold.
  #expect(last.gap >= 1 << 34)
  #expect(StretchMerger.Limits.first(of: pageSize) { _ in true }.gap == 0)
}
