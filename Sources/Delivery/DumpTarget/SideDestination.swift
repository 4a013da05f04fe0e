internal import DumpBasics
internal import LinuxSystem
internal import Workers

/// A destination whose work is done by a thread of its own, which is left behind when it hangs: a write or an
/// fsync to a disk that does not answer can't be ended. From then on everything fails at once.
///
/// Its parts come in two steps, so that several destinations can work at the same time: what is begun is
/// waited for by `end`.
final class SideDestination {
  /// Work whose result another thread puts down.
  final class Answer<Value>: @unchecked Sendable {
    // SAFETY: written by the thread, read only when that is done (`SideThread.wait` has a lock).
    fileprivate var result: Result<Value, DumpError>?
  }

  /// What only the thread touches.
  fileprivate final class Inner: @unchecked Sendable {
    // SAFETY: touched by the thread alone, one piece of work after the other; by nobody else once it was
    // made.
    var destination: (any Destination)?
    var sink: (any DumpSink)?

    func opened() throws(DumpError) -> any Destination {
      guard let destination else { throw DumpError("it is not open") }
      return destination
    }
  }

  /// The word as it may be shown.
  let shown: String
  private(set) var name: String
  private let inner = Inner()
  private let thread: SideThread?
  private let stall: UInt64
  private(set) var isLost = false
  private(set) var acceptsSideFiles = false
  private(set) var room: UInt64?

  /// `limit`: seconds for each piece of work; 0 is no limit. `isApart`: whether it needs a thread.
  init(shown: String, limit: UInt64, isApart: Bool) {
    self.shown = shown
    name = shown
    stall = limit
    thread = isApart ? SideThread() : nil
  }

  // MARK: work in two steps

  private func begin<Value>(
    _ work: @escaping @Sendable (Inner) throws(DumpError) -> Value
  ) -> Answer<Value> {
    let answer = Answer<Value>()
    if isLost { return answer }
    let inner = inner
    let body: @Sendable () -> Void = {
      do throws(DumpError) { answer.result = .success(try work(inner)) } catch { answer.result = .failure(error) }
    }
    // A system without a thread to give still gets its dump.
    if let thread { thread.begin(body) } else { body() }
    return answer
  }

  /// `extra`: seconds beyond the limit that there is.
  func end<Value>(_ answer: Answer<Value>, extra: UInt64 = 0) throws(DumpError) -> Value {
    let seconds = stall == 0 ? 0 : clampedSum(stall, extra)
    if !isLost, let thread, !thread.wait(milliseconds: seconds.multipliedReportingOverflow(by: 1000).partialValue) {
      isLost = true
      throw DumpError(.system(System.timedOut), "it did not answer for \(seconds) s", at: name)
    }
    guard !isLost, let result = answer.result else {
      throw DumpError(.system(System.timedOut), "it does not answer any more", at: name)
    }
    return try result.get()
  }

  // MARK: the parts

  func beginOpen(_ spec: TargetSpec, _ dump: NamedDump, tell: @escaping @Sendable (String) -> Void) -> Answer<Facts> {
    begin { (inner) throws(DumpError) in
      let opened = try spec.openPatiently(dump, tell: tell)
      inner.destination = opened
      return Facts(opened)
    }
  }

  func opened(_ facts: Facts) {
    name = facts.name
    acceptsSideFiles = facts.acceptsSideFiles
    room = facts.room
  }

  struct Facts: Sendable {
    let name: String
    let acceptsSideFiles: Bool
    let room: UInt64?

    init(_ destination: any Destination) {
      name = destination.name
      acceptsSideFiles = destination.acceptsSideFiles
      room = destination.room
    }
  }

  func beginDump(_ fileName: String, rate: UInt64) -> Answer<String> {
    begin { (inner) throws(DumpError) in
      let sink = try inner.opened().openDump(fileName: fileName)
      inner.sink = rate > 0 ? PacedSink(sink, rate) : sink
      return sink.name
    }
  }

  func beginWrite(_ buffer: SideBuffer) -> Answer<Void> {
    begin { (inner) throws(DumpError) in unsafe try inner.sink?.write(buffer.bytes) }
  }

  func beginSkip(_ count: UInt64) -> Answer<Void> {
    begin { (inner) throws(DumpError) in try inner.sink?.skip(count) }
  }

  func beginAskRewrite() -> Answer<Bool> { begin { (inner) throws(DumpError) in inner.sink?.canRewrite ?? false } }

  func beginRewrite(at offset: UInt64, _ bytes: [UInt8]) -> Answer<Void> {
    begin { (inner) throws(DumpError) in try inner.sink?.rewrite(at: offset, bytes) }
  }

  func beginFinish() -> Answer<Void> { begin { (inner) throws(DumpError) in try inner.sink?.finish() } }

  func beginCut(_ count: UInt64) -> Answer<Void> { begin { (inner) throws(DumpError) in try inner.sink?.cut(to: count) } }

  func beginSideFile(_ fileName: String, _ bytes: [UInt8]) -> Answer<Void> {
    begin { (inner) throws(DumpError) in try inner.opened().writeSideFile(fileName, bytes) }
  }

  func beginComplete() -> Answer<String> {
    begin { (inner) throws(DumpError) in try inner.opened().complete() }
  }

  func beginAbandon(_ note: String) -> Answer<String> {
    begin { (inner) throws(DumpError) in inner.destination?.abandon(note: note) ?? "" }
  }

  func beginPath() -> Answer<String?> { begin { (inner) throws(DumpError) in inner.destination?.dumpPath } }

  func beginBytesThere() -> Answer<UInt64?> {
    begin { (inner) throws(DumpError) in inner.destination?.bytesThere() }
  }
}
