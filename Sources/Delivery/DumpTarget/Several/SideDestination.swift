internal import DumpBasics
internal import LinuxSystem
internal import Workers

/// A destination whose work is done by a thread of its own, which is left behind when it hangs: a write or an
/// fsync to a disk that does not answer can't be ended. From then on everything fails at once.
///
/// Work is begun, then waited for (`end`), so that several destinations can work at the same time.
final class SideDestination {
  /// A part of the work. One type for all of them, and one for what comes of them: mcore-capture has to be
  /// small.
  enum Part: Sendable {
    case open(TargetSpec, NamedDump, tell: @Sendable (String) -> Void)
    case sideFile(String, [UInt8])
    case dump(String)
    case write(SideBuffer)
    case skip(UInt64)
    case rewrite(UInt64, [UInt8])
    case cut(UInt64)
    case finish
    case complete
    case abandon(String)
    case dumpPath
    case bytesThere
  }

  /// What came of it: a name or a path, and a number of bytes.
  struct Reply: Sendable {
    var text: String?
    var bytes: UInt64?
    var acceptsSideFiles = false
    /// Of a dump that was opened: whether what was written can be written again.
    var canRewrite: Bool?
  }

  /// What only the thread touches, but `reply` and `failure`, which are read when it is done.
  private final class Inner: @unchecked Sendable {
    // SAFETY: touched by the thread alone, one part after the other; the answer only after `SideThread.wait`,
    // which has a lock.
    private var destination: (any Destination)?
    private var sink: (any DumpSink)?
    private let rate: UInt64
    var reply = Reply()
    var failure: DumpError?

    init(rate: UInt64) { self.rate = rate }

    func run(_ part: Part) {
      reply = Reply()
      failure = nil
      do throws(DumpError) { try perform(part) } catch { failure = error }
    }

    private func perform(_ part: Part) throws(DumpError) {
      if case .open(let spec, let dump, let tell) = part {
        let opened = try spec.openPatiently(dump, tell: tell)
        destination = opened
        reply = Reply(text: opened.name, bytes: opened.room, acceptsSideFiles: opened.acceptsSideFiles)
        return
      }
      guard let destination else { throw DumpError("it is not open") }
      switch part {
      case .open: break
      case .sideFile(let name, let bytes): try destination.writeSideFile(name, bytes)
      case .dump(let fileName):
        let opened = try destination.openDump(fileName: fileName)
        sink = rate > 0 ? PacedSink(opened, rate) : opened
        reply = Reply(text: opened.name, canRewrite: opened.canRewrite)
      case .write(let buffer): unsafe try sink?.write(buffer.bytes)
      case .skip(let count): try sink?.skip(count)
      case .rewrite(let offset, let bytes): try sink?.rewrite(at: offset, bytes)
      case .cut(let count): try sink?.cut(to: count)
      case .finish: try sink?.finish()
      case .complete: reply.text = try destination.complete()
      case .abandon(let note): reply.text = destination.abandon(note: note)
      case .dumpPath: reply.text = destination.dumpPath
      case .bytesThere: reply.bytes = destination.bytesThere()
      }
    }

    func placedWriter() throws(DumpError) -> (any PlacedWriter)? { try sink?.placedWriter() }
  }

  /// The word as it may be shown.
  let shown: String
  private(set) var name: String
  /// Bytes a second; 0 is no limit.
  let rate: UInt64
  private let inner: Inner
  private let thread: SideThread?
  private let stall: UInt64
  private(set) var isLost = false
  private(set) var acceptsSideFiles = false
  private(set) var room: UInt64?
  private(set) var canRewrite = false

  /// `limit`: seconds for each piece of work; 0 is no limit. `isApart`: whether it needs a thread.
  init(shown: String, limit: UInt64, rate: UInt64, isApart: Bool) {
    self.shown = shown
    name = shown
    self.rate = rate
    inner = Inner(rate: rate)
    stall = limit
    // A system without a thread to give still gets its dump.
    thread = isApart ? SideThread() : nil
  }

  /// Begins a part of the work; `end` has to follow, unless nobody wants to know any more.
  func begin(_ part: Part) {
    if isLost { return }
    let inner = inner
    if let thread { thread.begin { inner.run(part) } } else { inner.run(part) }
  }

  /// Waits for what was begun. `extra`: seconds beyond the limit that there is.
  func end(extra: UInt64 = 0) throws(DumpError) -> Reply {
    if isLost { throw DumpError(.system(System.timedOut), "it does not answer any more", at: name) }
    let seconds = stall == 0 ? 0 : clampedSum(stall, extra)
    if let thread, !thread.wait(milliseconds: clampedProduct(seconds, 1000)) {
      isLost = true
      throw DumpError(.system(System.timedOut), "it did not answer for \(seconds) s", at: name)
    }
    if let failure = inner.failure { throw failure }
    canRewrite = inner.reply.canRewrite ?? canRewrite
    return inner.reply
  }

  /// Who writes to any place of the dump; nil where that has a thread of its own, which waits for each piece.
  func placedWriter() throws(DumpError) -> (any PlacedWriter)? { thread == nil ? try inner.placedWriter() : nil }

  /// What it said when it was opened.
  func opened(_ reply: Reply) {
    name = reply.text ?? name
    acceptsSideFiles = reply.acceptsSideFiles
    room = reply.bytes
  }
}
