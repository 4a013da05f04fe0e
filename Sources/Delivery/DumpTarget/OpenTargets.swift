public import DumpBasics
internal import LinuxSystem

/// Opens one target for a dump, or several that get it at the same time. What can't be opened is dropped, as
/// long as one is left; throws the reason of the first one where none is. `tell` hears what a person should.
public func openTargets(
  _ specs: [TargetSpec], _ dump: NamedDump, tell: @escaping @Sendable (String) -> Void
) throws(DumpError) -> TargetGroup {
  let transfer = dump.transfer
  let isAlone = specs.count == 1
  let members = specs.map { spec in
    // What ends by itself has limits of its own, by the byte.
    let limit = spec.endsByItself ? 0 : transfer.stallSeconds
    return SideDestination(
      shown: spec.shown, limit: limit, rate: spec.isRemote ? transfer.maxRate : 0, isApart: !isAlone || limit > 0)
  }
  for (index, member) in members.enumerated() { member.begin(.open(specs[index], dump, tell: tell)) }
  let group = TargetGroup(members)
  for (index, member) in members.enumerated() {
    // A mount has `stallSeconds` by itself, and is killed then.
    let patience = specs[index].isRemote ? min(transfer.waitSeconds, 1 << 20) : 0
    group.drop(member) { () throws(DumpError) in member.opened(try member.end(extra: patience + 30)) }
  }
  try group.requireMember()
  return group
}

extension TargetSpec {
  /// Opens it; a far side that can't be reached is tried again, with longer and longer pauses, within
  /// `waitSeconds`.
  func openPatiently(_ dump: NamedDump, tell: (String) -> Void) throws(DumpError) -> any Destination {
    let start = System.monotonicNanoseconds
    var pause: UInt64 = 1
    while true {
      do throws(DumpError) {
        return try open(dump)
      } catch {
        let passed = (System.monotonicNanoseconds - start) / 1_000_000_000
        guard isRemote, error.kind == .system(System.unreachable), clampedSum(passed, pause) < dump.transfer.waitSeconds else {
          throw error
        }
        tell("\(error): again in \(pause) s")
        for _ in 0..<pause * 2 {
          System.pause(milliseconds: 500)
          Activity.step()
        }
        pause = min(16, pause * 2)
      }
    }
  }

  public var isRemote: Bool { kind.isRemote }
  var endsByItself: Bool { kind.endsByItself }
}
