import DumpBasics
import Testing

@testable import PageClasses

@Suite struct FindingsTests {
  /// Findings about one page each.
  private func findings(at frames: [UInt64]) -> Findings {
    var findings = Findings()
    for frame in frames { findings.add(DumpError("damage", at: "pfn \(frame)"), frame..<frame + 1) }
    return findings
  }

  private func pages(_ frames: some Sequence<Range<UInt64>>) -> UInt64 { frames.reduce(0) { $0 + UInt64($1.count) } }

  @Test func nothingIsLostUpToTwiceTheLimit() {
    let frames = (0..<UInt64(2 * Findings.limit)).map { $0 << 20 }
    let findings = findings(at: frames)
    #expect(findings.reported.count == 2 * Findings.limit)
    #expect(findings.frames == frames.map { $0..<$0 + 1 })
  }

  /// 200 damaged words in a machine of 10 TiB: 20 stray writes over ten pages each, far apart. One range for
  /// all that did not fit named 1,744,835,585 pages.
  @Test func damageFarApartIsNamedWhereItIs() {
    let frames = (0..<UInt64(200)).map { ($0 / 10) << 27 + ($0 % 10) << 10 }
    let findings = findings(at: frames)
    #expect(findings.reported.count <= 2 * Findings.limit)
    #expect(zip(findings.reported, findings.frames).allSatisfy { !$0.0.what.isEmpty && !$0.1.isEmpty })
    for frame in frames { #expect(findings.frames.contains { $0.contains(frame) }, "pfn \(frame)") }
    // What is named in vain lies between the pages of one stray write.
    #expect(pages(findings.frames) <= 20 * 10 << 10)
    let counted = findings.reported.dropFirst(Findings.limit).compactMap { Int($0.what.split(separator: " ").last ?? "") }
    #expect(counted.reduce(0, +) == 200 - Findings.limit)
  }

  @Test func everyPlaceIsNamedInWhateverOrderTheyCome() {
    let frames = (0..<UInt64(1000)).map { $0 &* 0x9e37_79b9 % (1 << 30) }
    for order in [frames, frames.reversed(), frames.sorted()] {
      let findings = findings(at: order)
      #expect(findings.reported.count == 2 * Findings.limit)
      for frame in frames { #expect(findings.frames.contains { $0.contains(frame) }) }
      let ranges = findings.frames.dropFirst(Findings.limit)
      #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
    }
  }

  @Test func findingsOfTwoAreThoseOfOne() {
    let frames = (0..<UInt64(500)).map { $0 << 15 }
    var first = findings(at: Array(frames[..<300]))
    first.add(findings(at: Array(frames[300...])))
    first.add(DumpError("of nothing"), Findings.noFrames)
    first.add(DumpError("of nothing"), Findings.noFrames)
    #expect(first.reported.count == 2 * Findings.limit + 1)
    #expect(first.frames.count == first.reported.count)
    #expect(first.reported.last?.what.hasSuffix(": 2") == true)
    #expect(first.frames.last?.isEmpty == true)
  }

  @Test func oneAboutAllPagesTakesInTheOthers() {
    var findings = findings(at: (0..<UInt64(100)).map { $0 << 15 })
    findings.add(DumpError("of everything"), Findings.allFrames)
    #expect(findings.reported.count == Findings.limit + 1)
    #expect(findings.frames.last == Findings.allFrames)
    #expect(findings.reported.last?.what.hasSuffix(": 37") == true)
  }
}
