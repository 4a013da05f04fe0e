internal import DumpBasics

// Whose account a page is on: its zone, as it says itself.
extension MapScan {
  /// The account of the zone that `flags` names, if the page lies in it; else `unknownTag`, or `silentNode`.
  @inline(__always) mutating func account(_ flags: UInt64, _ frame: UInt64) -> Int {
    let tag = rules.zones.field?.tag(flags) ?? 0
    if tag == knownTag && knownFrames.contains(frame) && sectionIsRight(flags, frame) { return knownAccount }
    return otherAccount(tag, flags, frame)
  }

  @inline(__always) func sectionIsRight(_ flags: UInt64, _ frame: UInt64) -> Bool {
    guard let field = rules.zones.field, field.sectionBits > 0 else { return true }
    return field.section(flags) == frame >> rules.geometry.shift
  }

  @inline(never) mutating func otherAccount(_ tag: Int, _ flags: UInt64, _ frame: UInt64) -> Int {
    let account = rules.zones.accounts[tag]
    if !sectionIsRight(flags, frame) { return ZoneRules.unknownTag }
    if account < 0 { return account }
    guard rules.zones.frames[account].contains(frame) else { return ZoneRules.unknownTag }
    knownTag = tag
    knownAccount = account
    knownFrames = rules.zones.frames[account]
    return account
  }
}
