internal import DumpBasics

// Members of structures and values of enumerations.
extension TypeTable {
  /// The member that a path like `thread.sp` leads to; members of anonymous structures count as the outer
  /// one's, as in C.
  func member(_ structure: String, _ path: String) -> Member? { type(named: structure).flatMap { member($0, path) } }

  func member(_ type: Int, _ path: String) -> Member? {
    var found = Member(bitOffset: 0, bits: 0, type: type)
    for name in path.utf8.split(separator: UInt8(ascii: ".")) {
      var search = MemberSearch()
      guard let place = place(of: cleanText(name)), let next = member(bare(found.type), place: place, &search, depth: 0) else {
        return nil
      }
      found = Member(bitOffset: found.bitOffset + next.bitOffset, bits: next.bits, type: next.type)
    }
    return found
  }

  /// What one look for a member has cost. A structure that was gone through without finding it is not gone
  /// through again: nameless members of a crafted table that hold the same structures many times over, level
  /// by level, would multiply.
  private struct MemberSearch {
    var seen: Set<Int> = []
    /// Members that may still be looked at. The largest structure of a kernel has some hundreds.
    var left = 1 << 16
  }

  private func member(_ type: Int, place: Int, _ search: inout MemberSearch, depth: Int) -> Member? {
    guard depth < TypeTable.depthLimit, kind(type) == .structure || kind(type) == .union, search.seen.insert(type).inserted
    else { return nil }
    var unnamed: [Member] = []
    for index in 0..<entries(type) {
      search.left -= 1
      if search.left < 0 || search.left & 0xfff == 0 && isOver() { return nil }
      guard let (name, member) = rawMember(type, index) else { return nil }
      if name == place { return member }
      if name == 0 { unnamed.append(member) }
    }
    for outer in unnamed {
      if let inner = member(bare(outer.type), place: place, &search, depth: depth + 1) {
        return Member(bitOffset: outer.bitOffset + inner.bitOffset, bits: inner.bits, type: inner.type)
      }
    }
    return nil
  }

  private func rawMember(_ type: Int, _ index: Int) -> (name: Int, Member)? {
    let record = 12 + 12 * index
    guard let name = word(type, record), let target = word(type, record + 4), let offset = word(type, record + 8),
      let info = info(type)
    else { return nil }
    // With the kind flag the upper 8 bits are the size of a bit field.
    let isFlagged = info >> 31 == 1
    return (
      Int(name),
      Member(
        bitOffset: Int(isFlagged ? offset & 0xff_ffff : offset), bits: isFlagged ? Int(offset >> 24) : 0, type: Int(target))
    )
  }

  /// All members of a structure or union, in order, at most 2000.
  func members(_ type: Int) -> [(name: String?, member: Member)] {
    guard kind(type) == .structure || kind(type) == .union else { return [] }
    return (0..<min(2000, entries(type))).compactMap { index in
      rawMember(type, index).map { (string($0.name), $0.1) }
    }
  }

  /// Names and values of an enumeration, at most 1000.
  func enumerators(_ type: Int) -> [(name: String, value: Int64)] {
    let kind = kind(type)
    guard kind == .enumeration || kind == .enumeration64 else { return [] }
    let size = kind == .enumeration ? 8 : 12
    return (0..<min(1000, entries(type))).compactMap { index in
      let record = 12 + size * index
      guard let name = word(type, record).flatMap({ string(Int($0)) }), let low = word(type, record + 4) else { return nil }
      if kind == .enumeration { return (name, Int64(Int32(bitPattern: low))) }
      guard let high = word(type, record + 8) else { return nil }
      return (name, Int64(bitPattern: UInt64(high) << 32 | UInt64(low)))
    }
  }
}
