/// Takes what the work has to say while it goes on: to a terminal, a console or nowhere.
public protocol Reporter: AnyObject, Sendable {
  /// A line for the person or the log: what begins or what was found.
  func message(_ text: String)
  /// Something to worry about that did not stop the work.
  func warning(_ text: String)
  /// `done` of `total` bytes have gone through; called often, throttles itself.
  func progress(done: UInt64, total: UInt64)
}
