/// A thread that does one piece of work at a time for somebody who does not wait for ever: what hangs in the
/// kernel can't be stopped, so it is left behind, with all that it works on.
public final class SideThread {
  private let shared = Shared()
  private var thread: WorkerThread?

  /// Nil when the system has no thread left to give.
  public init?() {
    let shared = self.shared
    thread = WorkerThread { while let work = shared.next() { work() } }
    if thread == nil { return nil }
  }

  deinit {
    let isIdle = shared.stop()
    guard let thread = thread.take() else { return }
    if isIdle { thread.join() } else { thread.leave() }
  }

  /// Begins `work`. The work before has to be done (`wait`).
  public func begin(_ work: @escaping @Sendable () -> Void) { shared.begin(work) }

  /// Waits for the end of the work. False when it takes longer than that; 0 is for ever.
  public func wait(milliseconds: UInt64) -> Bool { shared.wait(milliseconds) }

  private final class Shared: @unchecked Sendable {
    // SAFETY: everything mutable is touched only inside `monitor.locked`.
    private let monitor = Monitor()
    private var work: (@Sendable () -> Void)?
    private var isBusy = false
    private var isStopped = false

    /// The body of the thread: what it has to do next; nil when that is nothing any more.
    func next() -> (@Sendable () -> Void)? {
      monitor.locked {
        isBusy = false
        monitor.wakeAll()
        while work == nil, !isStopped { monitor.wait() }
        defer { work = nil }
        isBusy = work != nil
        return work
      }
    }

    func begin(_ work: @escaping @Sendable () -> Void) {
      monitor.locked {
        self.work = work
        monitor.wakeAll()
      }
    }

    private var isIdle: Bool { work == nil && !isBusy }

    func wait(_ milliseconds: UInt64) -> Bool {
      let end = Monitor.now.addingReportingOverflow(milliseconds)
      return monitor.locked {
        while !isIdle {
          if milliseconds == 0 {
            monitor.wait()
            continue
          }
          let now = Monitor.now
          if now >= end.partialValue, !end.overflow { return false }
          monitor.wait(milliseconds: Int(clamping: min(3_600_000, end.overflow ? 3_600_000 : end.partialValue - now)))
        }
        return true
      }
    }

    func stop() -> Bool {
      monitor.locked {
        isStopped = true
        monitor.wakeAll()
        return isIdle
      }
    }
  }
}
