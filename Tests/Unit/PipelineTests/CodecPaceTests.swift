import CoreEncoding
import CoreFormat
import Synchronization
import Testing

/// A clock that a test moves.
private final class HandClock: Sendable {
  private let nanoseconds = Atomic<UInt64>(1)
  var now: UInt64 { nanoseconds.load(ordering: .relaxed) }
  func pass(_ count: UInt64) { nanoseconds.add(count, ordering: .relaxed) }
}

/// Groups of a megabyte, of which the codec makes half at the balanced step in a millisecond; the target
/// takes a byte in `sink` nanoseconds while nothing else goes on. Returns the effort after many groups.
private func settled(_ speed: Speed, sink: Double) -> Effort {
  let clock = HandClock()
  let pace = CodecPace(speed, .elfGzip, threads: 1) { clock.now }
  for _ in 0..<200 {
    let effort = pace.effort
    let isFast = effort < .balanced
    let start = pace.now
    clock.pass(isFast ? 850_000 : effort == .smallest ? 1_700_000 : 1_000_000)
    let output = isFast ? 590_000 : effort == .smallest ? 492_000 : 500_000
    pace.compressed(1_000_000, to: output, with: effort, since: start)
    let before = pace.now
    clock.pass(UInt64(Double(output) * sink))
    pace.wrote(UInt64(output), since: before)
  }
  return pace.effort
}

@Suite struct CodecPaceTests {
  @Test func aSlowTargetGetsSmallGroupsAndAFastOneGetsThemSoon() {
    #expect(settled(.adaptive, sink: 100) == .smallest)
    #expect(settled(.adaptive, sink: 0.01) < .balanced)
    // What the codec saves is less than what the target takes longer: in between nothing is gained.
    #expect(settled(.adaptive, sink: 2) == .balanced)
  }

  @Test func theOtherSpeedsStayAsTheyAre() {
    for sink in [0.01, 100] {
      #expect(settled(.fast, sink: sink) == Effort(1))
      #expect(settled(.balanced, sink: sink) == .balanced)
      #expect(settled(.small, sink: sink) == .smallest)
    }
  }

  @Test func effortsOutOfRangeAreTheNextThatThereAre() {
    #expect(Effort(-3) == .fastest && Effort(99) == .smallest)
  }
}
