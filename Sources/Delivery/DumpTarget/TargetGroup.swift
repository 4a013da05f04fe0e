public import DumpBasics
internal import LinuxSystem

/// A target that got out of the way before its dump was whole.
public struct DroppedTarget: Sendable {
  /// The TARGET word, without what is secret in it.
  public let target: String
  /// Bytes of the dump file that it took.
  public let bytes: UInt64
  /// Nanoseconds.
  public let duration: UInt64
  public let reason: DumpError
}

/// One dump on its way to one target, or to several at once: each has a thread of its own, and every piece is
/// handed to all and waited for. One that fails or hangs is dropped and the others go on; when the last one
/// fails, that is the error. It stays then, for whoever ends the dump.
public final class TargetGroup: Destination {
  /// Those that still take the dump; at least one.
  private var members: [SideDestination]
  /// Bytes a second, for each; 0 is no limit.
  private let rates: [ObjectIdentifier: UInt64]
  public private(set) var dropped: [DroppedTarget] = []
  private var sink: GroupSink?
  private let start = System.monotonicNanoseconds

  init(_ members: [SideDestination], rates: [UInt64]) {
    self.members = members
    self.rates = Dictionary(uniqueKeysWithValues: zip(members.map { ObjectIdentifier($0) }, rates))
  }

  public var name: String { members.map(\.name).joined(separator: " and ") }
  public var acceptsSideFiles: Bool { members.contains { $0.acceptsSideFiles } }
  /// The least that a member has.
  public var room: UInt64? { members.compactMap(\.room).min() }

  public var dumpPath: String? {
    for member in members {
      if let path = try? member.end(member.beginPath()) { return path }
    }
    return nil
  }

  public func openDump(fileName: String) throws(DumpError) -> any DumpSink {
    var names: [String] = []
    try together({ $0.beginDump(fileName, rate: self.rates[ObjectIdentifier($0)] ?? 0) }, { names.append($0) })
    let made = GroupSink(self, name: names.joined(separator: " and "))
    sink = made
    return made
  }

  public func writeSideFile(_ fileName: String, _ bytes: [UInt8]) throws(DumpError) {
    try together { $0.beginSideFile(fileName, bytes) }
  }

  public func complete() throws(DumpError) -> String {
    var names: [String] = []
    try together({ $0.beginComplete() }, { names.append($0) })
    return names.joined(separator: " and ")
  }

  public func abandon(note: String) -> String {
    let answers = members.map { $0.beginAbandon(note) }
    return zip(members, answers).map { member, answer in (try? member.end(answer)) ?? member.name }.joined(separator: " and ")
  }

  public func bytesThere() -> UInt64? {
    // Of several all took the same.
    guard members.count == 1 else { return nil }
    return members[0].isLost ? 0 : (try? members[0].end(members[0].beginBytesThere())) ?? nil
  }

  /// Drops those that surely have no room for `bytes`. Throws `.full` where that is all.
  public func requireRoom(for bytes: UInt64) throws(DumpError) {
    for member in members {
      guard let room = member.room, room < bytes else { continue }
      drop(member) { () throws(DumpError) in
        throw DumpError(
          .full, "there is too little room: \(humanBytes(room)), and the dump takes about \(humanBytes(bytes))", at: member.name)
      }
    }
    try requireMember()
  }

  // MARK: members

  /// The reason why the last one failed.
  private var failure: DumpError?

  /// Runs a part of one member. It is dropped where that throws, unless it is the last.
  func drop(_ member: SideDestination, _ part: () throws(DumpError) -> Void) {
    do throws(DumpError) { try part() } catch {
      guard members.count > 1 else {
        failure = error
        return
      }
      members.removeAll { $0 === member }
      dropped.append(
        DroppedTarget(
          target: member.shown, bytes: sink?.count ?? 0, duration: System.monotonicNanoseconds - start, reason: error))
      // Beside the others, which don't wait for it.
      _ = member.beginAbandon("mcore did not finish this dump: \(error)\n")
    }
  }

  func requireMember() throws(DumpError) {
    if let failure {
      self.failure = nil
      throw failure
    }
  }

  /// Begins a part of all members, then waits for each. `bytes`: so many are written in it.
  fileprivate func together<Value>(
    bytes: Int = 0, _ begin: (SideDestination) -> SideDestination.Answer<Value>, _ take: (Value) -> Void = { _ in }
  ) throws(DumpError) {
    let all = members
    let answers = all.map(begin)
    for (member, answer) in zip(all, answers) {
      let rate = rates[ObjectIdentifier(member)] ?? 0
      drop(member) { () throws(DumpError) in
        take(try member.end(answer, extra: rate > 0 ? UInt64(bytes) / rate + 1 : 0))
      }
    }
    try requireMember()
  }
}

/// The dump, to all members.
private final class GroupSink: DumpSink {
  let name: String
  private unowned let group: TargetGroup
  private var buffers = SideBuffers()
  private(set) var count: UInt64 = 0

  init(_ group: TargetGroup, name: String) {
    self.group = group
    self.name = name
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(DumpError) {
    if bytes.count == 0 { return }
    let buffer = unsafe buffers.copy(bytes)
    try group.together(bytes: bytes.count) { $0.beginWrite(buffer) }
    count += UInt64(bytes.count)
  }

  func skip(_ count: UInt64) throws(DumpError) {
    try group.together(bytes: Int(clamping: count)) { $0.beginSkip(count) }
    self.count += count
  }

  var canRewrite: Bool {
    var all = true
    return (try? group.together({ $0.beginAskRewrite() }, { all = all && $0 })) != nil && all
  }

  func rewrite(at offset: UInt64, _ bytes: [UInt8]) throws(DumpError) {
    try group.together(bytes: bytes.count) { $0.beginRewrite(at: offset, bytes) }
  }

  func finish() throws(DumpError) { try group.together { $0.beginFinish() } }
  func cut(to count: UInt64) throws(DumpError) { try group.together { $0.beginCut(count) } }
}
