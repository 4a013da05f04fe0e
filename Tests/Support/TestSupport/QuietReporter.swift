public import Capture

/// Says nothing.
public final class QuietReporter: Reporter {
  public init() {}
  public func message(_ text: String) {}
  public func warning(_ text: String) {}
  public func progress(done: UInt64, total: UInt64) {}
}
