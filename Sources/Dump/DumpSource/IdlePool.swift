internal import DumpBasics
internal import Synchronization

/// Objects that serve one thread at a time, each with whoever needs one just then: codecs are costly to make.
final class IdlePool<Object: AnyObject>: Sendable {
  private struct Idle: @unchecked Sendable {
    // SAFETY: an object is either in the list, which the lock guards, or with the one thread that took it
    // out.
    let object: Object
  }

  private let idle = Mutex<[Idle]>([])

  /// Lends one that nobody uses, or else a new one.
  func lend<Result>(
    orMake make: () throws(DumpError) -> Object, _ body: (Object) throws(DumpError) -> Result
  ) throws(DumpError) -> Result {
    let ready = idle.withLock { $0.popLast() }
    let taken = if let ready { ready } else { Idle(object: try make()) }
    defer { idle.withLock { $0.append(taken) } }
    return try body(taken.object)
  }
}
