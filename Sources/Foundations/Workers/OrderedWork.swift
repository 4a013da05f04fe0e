public import DumpBasics

/// Work on numbered units by several threads, its results taken in the order of the numbers, with a fixed
/// number of buffers whatever the number of units. This is the machine under the planner's zero test and
/// under the pipeline.
///
///     unit 0 1 2 3 4 …   ──► threads: work(unit, worker, slot) ──► caller: consume(unit, slot), in order
///
/// Unit n uses slot n mod `slots`. A worker starts unit n only when unit n − slots has been consumed: that
/// bounds memory, and it is the only reason for which a worker waits. With one thread nothing is created:
/// work and consume alternate.
public struct OrderedWork: Sendable {
  /// Threads that work. The caller's own thread consumes beside them.
  public var threads: Int
  /// Results that may be finished and not yet consumed, over all threads.
  public var slots: Int
  /// Asked before each result is consumed: an error ends the run with it.
  public var interruption: @Sendable () -> DumpError? = { nil }

  public init(threads: Int) {
    self.threads = max(1, threads)
    // Two for each worker: one being filled, one waiting for its turn; and some so that a slow unit stalls
    // nobody.
    slots = threads <= 1 ? 1 : 2 * threads + 2
  }

  /// The same, ended by `interruption`.
  public func interrupted(by interruption: @escaping @Sendable () -> DumpError?) -> OrderedWork {
    var work = self
    work.interruption = interruption
    return work
  }

  /// Runs units 0 ..< count. `makeWorker` is called once a thread, `makeSlot` once a slot; both kinds of
  /// object are used by one thread at a time. The first error, in unit order, ends the run and is thrown, as
  /// that of `interruption` does; work on later units that was under way is finished and dropped.
  public func run<Worker: AnyObject, Slot: AnyObject>(
    count: Int,
    makeWorker: () -> Worker,
    makeSlot: () -> Slot,
    work: @escaping @Sendable (_ unit: Int, _ worker: Worker, _ slot: Slot) throws(DumpError) -> Void,
    consume: (_ unit: Int, _ slot: Slot) throws(DumpError) -> Void
  ) throws(DumpError) {
    func inline() throws(DumpError) {
      let worker = makeWorker()
      let slot = makeSlot()
      for unit in 0..<count {
        try work(unit, worker, slot)
        if let interruption = interruption() { throw interruption }
        try consume(unit, slot)
      }
    }
    if threads == 1 || count <= 1 { return try inline() }

    let shared = Shared(count: count, slots: (0..<min(slots, count)).map { _ in makeSlot() }, work: work)
    let group = ThreadGroup()
    for _ in 0..<min(threads, count) {
      let worker = Handed(makeWorker())
      if !group.start({ shared.work(with: worker.object) }) { break }
    }
    defer {
      shared.stop()
      group.joinAll()
    }
    // A system with no thread to give still gets its dump.
    if group.isEmpty { return try inline() }
    for unit in 0..<count {
      let slot = try shared.waitFor(unit)
      if let interruption = interruption() { throw interruption }
      try consume(unit, slot)
      shared.release(unit)
    }
  }
}

/// Hands an object to exactly one thread.
private struct Handed<Object: AnyObject>: @unchecked Sendable {
  // SAFETY: made for one thread, which is the only one that uses it.
  let object: Object
  init(_ object: Object) { self.object = object }
}

private final class ThreadGroup {
  private var first: Node?
  private final class Node {
    var thread: WorkerThread?
    let next: Node?
    init(_ thread: consuming WorkerThread, _ next: Node?) {
      self.thread = consume thread
      self.next = next
    }
  }

  var isEmpty: Bool { first == nil }

  func start(_ body: @escaping @Sendable () -> Void) -> Bool {
    guard let thread = WorkerThread(body) else { return false }
    first = Node(thread, first)
    return true
  }

  func joinAll() {
    while let node = first {
      if let thread = node.thread.take() { thread.join() }
      first = node.next
    }
  }
}

/// What the threads share; everything mutable is touched only inside `monitor.locked`.
private final class Shared<Worker: AnyObject, Slot: AnyObject>: @unchecked Sendable {
  // SAFETY: `next`, `consumed`, `done`, `stopped` are guarded by `monitor`. A slot belongs to the worker that
  // took its unit until the unit is marked done, then to the consumer until `release`.
  private let monitor = Monitor()
  private let count: Int
  private let slots: [Slot]
  private let perform: @Sendable (Int, Worker, Slot) throws(DumpError) -> Void
  private var next = 0
  private var consumed = 0
  private var done: [Result<Void, DumpError>?]
  private var stopped = false

  init(
    count: Int, slots: [Slot], work: @escaping @Sendable (Int, Worker, Slot) throws(DumpError) -> Void
  ) {
    self.count = count
    self.slots = slots
    perform = work
    done = Array(repeating: nil, count: slots.count)
  }

  /// The body of one worker thread.
  func work(with worker: Worker) {
    while let unit = take() {
      let result: Result<Void, DumpError>
      do throws(DumpError) {
        try perform(unit, worker, slots[unit % slots.count])
        result = .success(())
      } catch {
        result = .failure(error)
      }
      monitor.locked {
        done[unit % slots.count] = result
        monitor.wakeAll()
      }
    }
  }

  /// The next unit whose slot is free, or nil when there is nothing left to do.
  private func take() -> Int? {
    monitor.locked {
      while true {
        if stopped || next >= count { return nil }
        if next < consumed + slots.count {
          next += 1
          return next - 1
        }
        monitor.wait()
      }
    }
  }

  /// Called by the consumer: waits until `unit` is done.
  func waitFor(_ unit: Int) throws(DumpError) -> Slot {
    let result = monitor.locked { () -> Result<Void, DumpError> in
      while true {
        if let result = done[unit % slots.count] { return result }
        monitor.wait()
      }
    }
    try result.get()
    return slots[unit % slots.count]
  }

  func release(_ unit: Int) {
    monitor.locked {
      done[unit % slots.count] = nil
      consumed = unit + 1
      monitor.wakeAll()
    }
  }

  func stop() {
    monitor.locked {
      stopped = true
      monitor.wakeAll()
    }
  }
}
