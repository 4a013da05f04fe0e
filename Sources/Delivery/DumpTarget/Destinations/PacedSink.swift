internal import DumpBasics
internal import LinuxSystem

/// No more than so many bytes a second. Time in which nothing was taken is not made up for.
final class PacedSink: DumpSink {
  private let inner: any DumpSink
  private let rate: UInt64
  /// When the first byte was due, by the rate.
  private var start = System.monotonicNanoseconds
  private var count: UInt64 = 0

  init(_ inner: any DumpSink, _ rate: UInt64) {
    self.inner = inner
    self.rate = rate
  }

  var name: String { inner.name }

  func write(_ bytes: UnsafeRawBufferPointer) throws(DumpError) {
    // In pieces of a tenth of a second, so that others get their share in between.
    let piece = Int(clamping: max(4096, rate / 10))
    var offset = 0
    while offset < bytes.count {
      let end = min(bytes.count, offset + piece)
      unsafe try inner.write(UnsafeRawBufferPointer(rebasing: bytes[offset..<end]))
      pause(after: UInt64(end - offset))
      offset = end
    }
  }

  /// Over a wire zeros are bytes like others.
  func skip(_ count: UInt64) throws(DumpError) {
    try inner.skip(count)
    pause(after: count)
  }

  func finish() throws(DumpError) { try inner.finish() }
  func cut(to count: UInt64) throws(DumpError) { try inner.cut(to: count) }

  private func pause(after bytes: UInt64) {
    count += bytes
    let due = start + PacedSink.nanoseconds(for: count, rate)
    let now = System.monotonicNanoseconds
    if now > due { start += now - due }
    while case let now = System.monotonicNanoseconds, now < due {
      System.pause(milliseconds: Int32(clamping: min(500, (due - now) / 1_000_000 + 1)))
      Activity.step()
    }
  }

  static func nanoseconds(for count: UInt64, _ rate: UInt64) -> UInt64 {
    let (high, low) = count.multipliedFullWidth(by: 1_000_000_000)
    // More than 500 years are as good as for ever.
    return high >= rate ? UInt64.max >> 2 : rate.dividingFullWidth((high, low)).quotient
  }
}
