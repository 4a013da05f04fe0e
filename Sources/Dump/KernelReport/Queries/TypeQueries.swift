public import DumpBasics

extension KernelQueries {
  /// `mcore sym`: an address by name, or a name's address.
  public func symbol(_ word: String) throws(DumpError) -> String {
    if let address = KernelQueries.address(word) {
      let place = places.place(address, isReturn: false)
      guard place.function != nil else { throw failure("\(word) is in no function or variable that has a name") }
      return "\(hex(address)) \(place.text)"
    }
    guard let address = view.symbol(word) else { throw failure("the kernel has no symbol \(word)") }
    return "\(hex(address)) \(word)"
  }

  /// `0x…`, or 16 hex digits.
  static func address(_ word: String) -> UInt64? {
    if word.utf8.starts(with: "0x".utf8) { return UInt64(word.dropFirst(2), radix: 16) }
    return word.utf8.count == 16 ? UInt64(word, radix: 16) : nil
  }

  /// `mcore types`: the members of a structure with offsets and sizes, the values of an enumeration.
  public func type(_ name: String) throws(DumpError) -> String {
    if let types = view.types, let dot = name.utf8.firstIndex(of: UInt8(ascii: ".")) {
      // `structure.member`: one line of it.
      guard let member = types.member(String(name[..<dot]), String(name[name.utf8.index(after: dot)...])) else {
        throw failure("the kernel has no member \(name)")
      }
      let bits = member.bits > 0 ? ", bits \(member.bitOffset % 8) to \(member.bitOffset % 8 + member.bits - 1)" : ""
      let size = types.size(member.type).map { "\($0) bytes" } ?? "of no size"
      return "\(name): offset \(member.offset)\(bits), \(size), \(types.text(of: member.type))"
    }
    guard let types = view.types, let type = types.type(named: name) else { throw failure("the kernel has no type \(name)") }
    let bare = types.bare(type)
    switch types.kind(bare) {
    case .enumeration, .enumeration64:
      return (["enum \(name)"] + types.enumerators(bare).map { "  \($0.name) = \($0.value)" }).joined(separator: "\n")
    case .structure, .union:
      var lines = ["\(types.kind(bare) == .union ? "union" : "struct") \(name), \(types.size(bare) ?? 0) bytes"]
      members(bare, 0, 1, &lines, nil)
      return lines.joined(separator: "\n")
    default: return "\(name): \(types.text(of: type)), \(types.size(type).map { "\($0) bytes" } ?? "of no size")"
    }
  }

  /// `mcore show STRUCT ADDRESS`, `mcore show SYMBOL`: the members with their values; `path` leads to one of
  /// them.
  public func value(of structure: String, at word: String, path: String = "") throws(DumpError) -> String {
    guard let types = view.types, let type = types.type(named: structure) else {
      throw failure("the kernel has no type \(structure)")
    }
    guard let address = KernelQueries.address(word) ?? view.symbol(word) else {
      throw failure("\(word) is no address and no symbol")
    }
    var bare = types.bare(type)
    var place = address
    if !path.isEmpty {
      guard let member = types.member(bare, path) else { throw failure("\(structure) has no member \(path)") }
      place = address &+ UInt64(member.offset)
      bare = types.bare(member.type)
      if types.kind(bare) != .structure, types.kind(bare) != .union {
        return "\(types.text(of: member.type)) \(structure).\(path) = \(scalar(member, address))"
      }
    }
    var lines = ["\(types.name(bare) ?? structure) at \(hex(place))"]
    members(bare, 0, 1, &lines, place)
    return lines.joined(separator: "\n")
  }

  private func members(_ type: Int, _ start: Int, _ depth: Int, _ lines: inout [String], _ address: UInt64?) {
    guard let types = view.types, depth < 8, lines.count < 5000 else { return }
    for (name, member) in types.members(type) {
      let indent = String(repeating: "  ", count: depth)
      let bare = types.bare(member.type)
      let isInner = types.kind(bare) == .structure || types.kind(bare) == .union
      let offset = start + member.bitOffset / 8
      let place = member.bits > 0 ? "\(offset):\(member.bitOffset % 8)/\(member.bits)" : "\(offset)"
      var line = indent + right(place, 6) + "  \(name ?? "") : \(types.text(of: member.type))"
      if let address, !isInner { line += " = " + scalar(member, address) }
      lines.append(line)
      if isInner, name == nil || address != nil {
        members(bare, offset, depth + 1, &lines, address.map { $0 &+ UInt64(member.bitOffset / 8) })
      }
    }
  }

  private func scalar(_ member: TypeTable.Member, _ address: UInt64) -> String {
    guard let types = view.types else { return "?" }
    let place = address &+ UInt64(member.bitOffset / 8)
    if member.bits > 0 {
      guard member.bits < 57, let word = view.u64(place) else { return "?" }
      return String(word >> UInt64(member.bitOffset % 8) & (1 << UInt64(member.bits) - 1))
    }
    let bare = types.bare(member.type)
    if let (element, count) = types.array(bare) {
      if types.size(element) == 1, let text = view.text(place, limit: min(count, 256)) { return "\"\(text)\"" }
      guard let size = types.size(element), [1, 2, 4, 8].contains(size), types.kind(types.bare(element)) != .structure else {
        return "[…]"
      }
      let values = (0..<min(count, 16)).map { index in view.integer(place &+ UInt64(index * size), size).map(hex) ?? "?" }
      return "[" + values.joined(separator: ", ") + (count > 16 ? ", …]" : "]")
    }
    guard let size = types.size(bare), let value = view.integer(place, size) else { return "?" }
    if types.kind(bare) == .pointer {
      let code = places.place(value, isReturn: false)
      return hex(value) + (code.function == nil ? "" : " (\(code.text))")
    }
    if types.isSigned(member.type) {
      let shift = UInt64(64 - 8 * size)
      return String(Int64(bitPattern: value << shift) >> Int64(shift))
    }
    return value > 0xffff ? "\(value) (\(hex(value)))" : String(value)
  }
}
