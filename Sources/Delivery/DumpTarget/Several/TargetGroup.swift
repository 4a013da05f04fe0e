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
  /// The TARGET word of the last one that is left, without what is secret in it.
  public var shown: String? { members.count == 1 ? members[0].shown : nil }
  public private(set) var dropped: [DroppedTarget] = []
  private var sink: GroupSink?
  private let start = System.monotonicNanoseconds

  init(_ members: [SideDestination]) { self.members = members }

  public var name: String { joined(members.map(\.name)) }
  public var acceptsSideFiles: Bool { members.contains { $0.acceptsSideFiles } }
  /// The least that a member has.
  public var room: UInt64? { members.compactMap(\.room).min() }

  public var dumpPath: String? {
    for member in members {
      member.begin(.dumpPath)
      if let path = try? member.end().text { return path }
    }
    return nil
  }

  public func openDump(fileName: String) throws(DumpError) -> any DumpSink {
    let made = GroupSink(self, name: try together(.dump(fileName)))
    sink = made
    return made
  }

  public func writeSideFile(_ fileName: String, _ bytes: [UInt8]) throws(DumpError) {
    _ = try together(.sideFile(fileName, bytes))
  }

  public func complete() throws(DumpError) -> String { try together(.complete) }

  public func abandon(note: String) -> String {
    for member in members { member.begin(.abandon(note)) }
    return joined(members.map { member in (try? member.end().text) ?? member.name })
  }

  public func bytesThere() -> UInt64? {
    // Of several all took the same.
    guard members.count == 1 else { return nil }
    if members[0].isLost { return 0 }
    members[0].begin(.bytesThere)
    return (try? members[0].end())?.bytes
  }

  private func joined(_ names: [String]) -> String { names.joined(separator: " and ") }

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
      member.begin(.abandon("mcore did not finish this dump: \(error)\n"))
    }
  }

  fileprivate var canRewrite: Bool { members.allSatisfy(\.canRewrite) }
  fileprivate func placedWriter() throws(DumpError) -> (any PlacedWriter)? {
    members.count == 1 ? try members[0].placedWriter() : nil
  }

  func requireMember() throws(DumpError) {
    if let failure {
      self.failure = nil
      throw failure
    }
  }

  /// Does a part of the work with all members. `bytes`: so many are written in it. Returns what they call it.
  fileprivate func together(_ part: SideDestination.Part, bytes: Int = 0) throws(DumpError) -> String {
    let all = members
    var names: [String] = []
    for member in all { member.begin(part) }
    for member in all {
      drop(member) { () throws(DumpError) in
        let extra = member.rate > 0 ? UInt64(bytes) / member.rate + 1 : 0
        if let name = try member.end(extra: extra).text { names.append(name) }
      }
    }
    try requireMember()
    return joined(names)
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
    _ = try group.together(.write(buffer), bytes: bytes.count)
    count += UInt64(bytes.count)
  }

  func skip(_ count: UInt64) throws(DumpError) {
    _ = try group.together(.skip(count), bytes: Int(clamping: count))
    self.count += count
  }

  var canRewrite: Bool { group.canRewrite }

  func rewrite(at offset: UInt64, _ bytes: [UInt8]) throws(DumpError) {
    _ = try group.together(.rewrite(offset, bytes), bytes: bytes.count)
  }

  func placedWriter() throws(DumpError) -> (any PlacedWriter)? { try group.placedWriter() }

  func finish() throws(DumpError) { _ = try group.together(.finish) }
  func cut(to count: UInt64) throws(DumpError) { _ = try group.together(.cut(count)) }
}
