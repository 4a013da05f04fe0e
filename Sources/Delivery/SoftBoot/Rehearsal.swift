public import DumpBasics
internal import LinuxSystem

// A rehearsal: a region with a pattern in place of a dump goes the way that a dump would.

extension Region {
  /// What a region of a rehearsal has for the name of its dump file.
  public static let rehearsalName = "rehearsal"

  /// Whether a pattern is there and no dump.
  public var isRehearsal: Bool { head.identity.fileName == Region.rehearsalName }
}

/// What is known of the last rehearsal, in `/var/lib/mcore/rehearsal`: the lines of `ArmedRecord`, `bytes`,
/// and after the boot `checked` and `lost`.
public struct RehearsalRecord: Sendable {
  public static let standardPath = "/var/lib/mcore/rehearsal"

  public var armed: ArmedRecord
  /// Of the pattern.
  public var bytes: UInt64
  /// When it was checked, seconds since 1970; nil as long as it was not.
  public var checked: Int64?
  /// Bytes that did not come through.
  public var lost: UInt64 = 0

  public init(_ armed: ArmedRecord, bytes: UInt64) {
    self.armed = armed
    self.bytes = bytes
  }

  /// Nil where there is none, or none that is understood.
  public init?(readFrom path: String) {
    guard let values = keyedLines(of: path), let armed = ArmedRecord(values), let bytes = values["bytes"].flatMap({ UInt64($0) })
    else { return nil }
    self.init(armed, bytes: bytes)
    checked = values["checked"].flatMap { Int64($0) }
    lost = values["lost"].flatMap { UInt64($0) } ?? 0
  }

  /// Puts it in place of the last one, on the disk.
  public func write(to path: String) throws(DumpError) {
    var text = armed.text + "bytes \(bytes)\n"
    if let checked { text += "checked \(checked)\nlost \(lost)\n" }
    try System.replaceFile(path, with: Array(text.utf8))
  }

  /// For people; `bootID` is the running boot's.
  public func description(bootID: String) -> String {
    let what = "rehearsal of \(UTCTime(secondsSince1970: armed.time).text) by \(armed.isByReset ? "reset" : "kexec")"
    if checked != nil {
      return lost == 0
        ? "\(what): all \(humanBytes(bytes)) came through" : "\(what): \(humanBytes(lost)) of \(humanBytes(bytes)) were lost"
    }
    return bootID == armed.bootID
      ? "\(what): this machine has not been restarted yet"
      : "\(what): nothing came through, or mcore-capture source=memory: was not called after the boot"
  }
}

/// Fills a region with a pattern. Returns its bytes.
public func writeRehearsal(
  _ memory: any RegionMemory, _ extents: RegionExtents, _ identity: RegionIdentity
) throws(DumpError) -> UInt64 {
  var identity = identity
  identity.fileName = Region.rehearsalName
  let writer = try RegionWriter(memory, extents, identity, fitted: false)
  var state: UInt64 = 1
  var left = extents.capacity
  while left > 0 {
    var bytes = [UInt8](repeating: 0, count: Int(min(left, 1 << 16)))
    for index in bytes.indices {
      // Knuth's MMIX; the upper bits are noise enough to show a page that is another's.
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      bytes[index] = UInt8(truncatingIfNeeded: state >> 56)
    }
    unsafe try bytes.lent { (piece) throws(DumpError) in unsafe try writer.write(piece) }
    left -= UInt64(bytes.count)
  }
  _ = try writer.complete()
  return extents.capacity
}
