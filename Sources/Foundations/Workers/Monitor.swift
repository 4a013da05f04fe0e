internal import Glibc

/// A mutex with one condition variable, and threads: the only place of the project that makes either.
///
/// Swift's `Mutex` has no condition to wait on, and Swift's own concurrency brings an executor that a program
/// with one CPU and 128 MiB does not need.
@safe final class Monitor: @unchecked Sendable {
  // SAFETY: both are allocated once, initialised before use, never moved, and freed only with the last
  // reference.
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>

  init() {
    unsafe mutex = .allocate(capacity: 1)
    unsafe condition = .allocate(capacity: 1)
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe condition.initialize(to: pthread_cond_t())
    unsafe pthread_mutex_init(mutex, nil)
    // By this clock, since somebody may set the other one.
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_cond_init(condition, &attributes)
    unsafe pthread_condattr_destroy(&attributes)
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  func locked<R>(_ body: () -> R) -> R {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe _ = pthread_mutex_unlock(mutex) }
    return body()
  }

  /// Call with the lock held; gives it up while waiting.
  func wait() { unsafe _ = pthread_cond_wait(condition, mutex) }

  /// The same for at most so many milliseconds.
  func wait(milliseconds: Int) {
    var end = timespec()
    unsafe _ = clock_gettime(CLOCK_MONOTONIC, &end)
    let nanoseconds = end.tv_nsec + milliseconds % 1000 * 1_000_000
    end.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
    end.tv_nsec = nanoseconds % 1_000_000_000
    unsafe _ = pthread_cond_timedwait(condition, mutex, &end)
  }

  /// The clock of these waits, in milliseconds.
  static var now: UInt64 {
    var now = timespec()
    unsafe _ = clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1000 + UInt64(now.tv_nsec) / 1_000_000
  }

  /// Wakes all that wait. Call with the lock held.
  func wakeAll() { unsafe _ = pthread_cond_broadcast(condition) }
}

/// A running thread. `join` or `leave` has to be called exactly once.
@safe struct WorkerThread: ~Copyable {
  private let id: pthread_t

  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Nil when the system has no thread left to give.
  init?(_ run: @escaping @Sendable () -> Void) {
    var id = pthread_t()
    let body = unsafe Unmanaged.passRetained(Body(run))
    let code = unsafe pthread_create(
      &id, nil,
      { argument in
        if let argument = unsafe argument { unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
      }, body.toOpaque())
    if code != 0 {
      unsafe body.release()
      return nil
    }
    self.id = id
  }

  consuming func join() { _ = pthread_join(id, nil) }

  /// Nobody waits for its end.
  consuming func leave() { _ = pthread_detach(id) }
}
