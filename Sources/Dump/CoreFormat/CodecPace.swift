public import CoreEncoding
internal import Synchronization

/// Chooses how hard the codecs try. With `Speed.adaptive` it does so group by group: it measures what a byte
/// of memory costs in the codec and a byte of the file in the target, and takes the step that ends first. A
/// target that is slower than the codec gets smaller groups, one that is faster gets them sooner.
///
/// Workers ask for the effort and tell what a group cost; the one who writes tells what the target took.
public final class CodecPace: Sendable {
  private struct Measured {
    var step: Int
    /// Sums of what was measured lately; what is older counts less. Codec time and sizes are as the balanced
    /// step would have had them.
    var codecTime = 0.0
    var input = 0.0
    var output = 0.0
    /// Of all time, what the target was waited for; and the bytes that it took meanwhile.
    var wall = 0.0
    var waited = 0.0
    var sunk = 0.0
    var last: UInt64?
    /// What a byte of the file costs the target: known while it is waited for, else what was known last.
    var sink = 0.0
    var groups = 0
  }

  private let measured: Mutex<Measured>
  private let threads: Double
  private let clock: @Sendable () -> UInt64
  private let ladder: [OutputFormat.Step]
  private let start: Effort
  public let isAdaptive: Bool

  /// Of all time, so much spent waiting may be what the target costs a thread that does both; from `holdsUp`
  /// on the target is what holds the dump up.
  private static let waits = 0.3
  private static let holdsUp = 0.6
  /// What is not waited for is asked anew from time to time: it may have become faster.
  private static let doubt = 0.98
  /// Of each group so much of what was known before is forgotten: a dozen groups back little is left.
  private static let memory = 0.9
  /// A step is taken when it gains so much: else each breath of the target would change the file.
  private static let gain = 0.99

  /// `threads` compress side by side, and the target takes what is written meanwhile.
  /// `clock` gives nanoseconds.
  public init(
    _ speed: Speed, _ format: OutputFormat, threads: Int, clock: @escaping @Sendable () -> UInt64 = { 0 }
  ) {
    ladder = format.ladder
    start = speed.effort
    measured = Mutex(Measured(step: start.step))
    self.threads = Double(max(1, threads))
    self.clock = clock
    isAdaptive = speed == .adaptive
  }

  /// For the next group.
  public var effort: Effort { isAdaptive ? measured.withLock { Effort($0.step) } : start }

  /// Nanoseconds, to measure from; 0 where nothing is measured.
  public var now: UInt64 { isAdaptive ? clock() : 0 }

  /// A group of `input` bytes took a worker since `start`, with this effort, and became `output` bytes.
  public func compressed(_ input: Int, to output: Int, with effort: Effort, since start: UInt64) {
    guard isAdaptive else { return }
    let step = ladder[effort.step]
    let nanoseconds = now - start
    measured.withLock { measured in
      measured.codecTime = measured.codecTime * CodecPace.memory + Double(nanoseconds) / step.time
      measured.input = measured.input * CodecPace.memory + Double(input)
      measured.output = measured.output * CodecPace.memory + Double(output) / step.size
    }
  }

  /// The target took `bytes` since `start`.
  public func wrote(_ bytes: UInt64, since start: UInt64) {
    guard isAdaptive else { return }
    let end = now
    measured.withLock { measured in
      // The target takes what was written while the next group is made, and is never seen alone. While it is
      // waited for all the time, all time is its time.
      measured.wall = measured.wall * CodecPace.memory + Double(end - (measured.last ?? start))
      measured.waited = measured.waited * CodecPace.memory + Double(end - start)
      measured.sunk = measured.sunk * CodecPace.memory + Double(bytes)
      measured.last = end
      guard measured.sunk > 0 else { return }
      let share = measured.wall > 0 ? measured.waited / measured.wall : 0
      let bound = min(1, max(0, (share - CodecPace.waits) / (CodecPace.holdsUp - CodecPace.waits)))
      let seen = (measured.waited + (measured.wall - measured.waited) * bound) / measured.sunk
      measured.sink = max(seen, min(measured.wall / measured.sunk, measured.sink * CodecPace.doubt))
      measured.groups += 1
      if measured.groups >= 4, measured.input > 0 { measured.step = best(measured) }
    }
  }

  private func best(_ measured: Measured) -> Int {
    let codec = measured.codecTime / measured.input / threads
    let sink = measured.output / measured.input * measured.sink
    func cost(_ step: Int) -> Double {
      let (time, size) = (codec * ladder[step].time, sink * ladder[step].size)
      // Side by side, and each waits for the other now and then.
      return max(time, size) + 0.05 * (time + size)
    }
    guard let best = ladder.indices.min(by: { cost($0) < cost($1) }) else { return measured.step }
    return cost(best) < cost(measured.step) * CodecPace.gain ? best : measured.step
  }
}

extension OutputFormat {
  /// What a step costs and gives beside the balanced one.
  typealias Step = (time: Double, size: Double)

  /// By `Effort.step`, on memory of kernels: docs/measurements/speed.md.
  var ladder: [Step] {
    switch self {
    case .elfGzip: [(0.85, 1.18), (0.85, 1.18), (1, 1), (1, 1), (1, 1), (1.7, 0.984)]
    #if Zstd
      case .elfZstd: [(0.7, 1.45), (0.8, 1.2), (1, 1), (1.12, 0.985), (1.28, 0.975), (1.42, 0.965)]
    #endif
    default: Array(repeating: (1, 1), count: 6)
    }
  }
}
