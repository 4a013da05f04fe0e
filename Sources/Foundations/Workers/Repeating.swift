/// A thread that does something small again and again, beside the work.
public final class Repeating {
  private let shared = Shared()
  private var thread: WorkerThread?

  /// Calls `body` every `milliseconds`, the first time after as long. Nil when the system has no thread left
  /// to give.
  public init?(milliseconds: Int, _ body: @escaping @Sendable () -> Void) {
    let shared = self.shared
    thread = WorkerThread { while shared.pause(milliseconds) { body() } }
    if thread == nil { return nil }
  }

  /// `body` does not run any more once this returns.
  deinit {
    shared.stop()
    if let thread = thread.take() { thread.join() }
  }

  private final class Shared: @unchecked Sendable {
    // SAFETY: `isStopped` is guarded by `monitor`.
    private let monitor = Monitor()
    private var isStopped = false

    func stop() {
      monitor.locked {
        isStopped = true
        monitor.wakeAll()
      }
    }

    /// False when it is to end.
    func pause(_ milliseconds: Int) -> Bool {
      monitor.locked {
        if !isStopped { monitor.wait(milliseconds: milliseconds) }
        return !isStopped
      }
    }
  }
}
