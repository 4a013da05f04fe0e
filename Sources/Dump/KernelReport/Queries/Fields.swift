internal import CoreEncoding
internal import DumpBasics

/// A member of a structure, with its value where one was asked for.
struct Field {
  enum Value {
    case number(UInt64)
    case signed(Int64)
    case pointer(UInt64, CodePlace)
    case text(String)
    /// The first elements of an array.
    case numbers([UInt64], isCut: Bool)
    /// An array of structures.
    case opaque
    case unreadable
  }

  var name: String?
  /// From the start of the outermost structure.
  var bitOffset: Int
  var bits: Int
  var type: String
  var size: Int?
  var value: Value?
  /// Of a structure or union.
  var fields: [Field] = []

  func lines(_ depth: Int, _ lines: inout [String]) {
    let place = bits > 0 ? "\(bitOffset / 8):\(bitOffset % 8)/\(bits)" : "\(bitOffset / 8)"
    lines.append(
      String(repeating: "  ", count: depth) + right(place, 6) + "  \(name ?? "") : \(type)"
        + (value.map { " = \($0.text)" } ?? ""))
    for field in fields { field.lines(depth + 1, &lines) }
  }

  var json: JSON {
    var members: [(String, JSON)] = [
      ("name", .optional(name)), ("offset", .number(Int64(bitOffset / 8))), ("type", .string(type)),
      ("size", size.map { .number(Int64($0)) } ?? .null),
    ]
    if bits > 0 { members += [("bit", .number(Int64(bitOffset % 8))), ("bits", .number(Int64(bits)))] }
    if let value { members.append(("value", value.json)) }
    if !fields.isEmpty { members.append(("members", .array(fields.map(\.json)))) }
    return .object(members)
  }

  /// How many values there are in it, and how many of them could not be read.
  var tally: (values: Int, unreadable: Int) {
    var tally = (values: 0, unreadable: 0)
    switch value {
    case nil, .opaque: break
    case .unreadable: tally = (1, 1)
    default: tally.values = 1
    }
    for field in fields {
      let inner = field.tally
      tally.values += inner.values
      tally.unreadable += inner.unreadable
    }
    return tally
  }
}

extension Field.Value {
  var text: String {
    switch self {
    case .number(let value): value > 0xffff ? "\(value) (\(hex(value)))" : String(value)
    case .signed(let value): String(value)
    case .pointer(let value, let place): hex(value) + (place.function == nil ? "" : " (\(place.text))")
    case .text(let text): "\"\(text)\""
    case .numbers(let values, let isCut): "[" + values.map(hex).joined(separator: ", ") + (isCut ? ", …]" : "]")
    case .opaque: "[…]"
    case .unreadable: "?"
    }
  }

  var json: JSON {
    switch self {
    case .number(let value): .unsigned(value)
    case .signed(let value): .number(value)
    case .pointer(let value, _): .string(hex(value))
    case .text(let text): .string(text)
    case .numbers(let values, _): .array(values.map(JSON.unsigned))
    case .opaque, .unreadable: .null
    }
  }
}

/// Makes fields of types, and of memory.
struct FieldReader {
  let view: KernelView
  let places: CodePlaces
  let types: TypeTable
  private var left = 5000

  init(_ view: KernelView, _ places: CodePlaces, _ types: TypeTable) {
    self.view = view
    self.places = places
    self.types = types
  }

  /// The members of a structure or union. `address`: where it lies, for values; nil for none.
  mutating func fields(_ type: Int, at start: Int = 0, depth: Int = 0, _ address: UInt64?) -> [Field] {
    guard depth < 8 else { return [] }
    var found: [Field] = []
    for (name, member) in types.members(type) {
      left -= 1
      if left < 0 { break }
      found.append(field(name, member, at: start, depth: depth, address))
    }
    return found
  }

  /// `start`: bits before the structure that `member` is of; `address`: where that lies.
  mutating func field(
    _ name: String?, _ member: TypeTable.Member, at start: Int = 0, depth: Int = 0, _ address: UInt64?
  ) -> Field {
    let bare = types.bare(member.type)
    let isInner = types.kind(bare) == .structure || types.kind(bare) == .union
    var field = Field(
      name: name, bitOffset: start + member.bitOffset, bits: member.bits, type: types.text(of: member.type),
      size: types.size(member.type))
    if let address, !isInner { field.value = value(member, address) }
    // Without values what has a name is a type of its own.
    if isInner, name == nil || address != nil {
      field.fields = fields(
        bare, at: start + member.bitOffset, depth: depth + 1, address.map { $0 &+ UInt64(member.bitOffset / 8) })
    }
    return field
  }

  /// What lies at `address`, the start of the structure that `member` is of.
  func value(_ member: TypeTable.Member, _ address: UInt64) -> Field.Value {
    let place = address &+ UInt64(member.bitOffset / 8)
    if member.bits > 0 {
      // Its last byte may be the last that is there.
      let count = (member.bitOffset % 8 + member.bits + 7) / 8
      guard count <= 8, let bytes = view.bytes(place, count) else { return .unreadable }
      let word = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      let value = word >> UInt64(member.bitOffset % 8)
      return .number(member.bits < 64 ? value & (1 << UInt64(member.bits) - 1) : value)
    }
    let bare = types.bare(member.type)
    if let (element, count) = types.array(bare) { return array(element, count, place) }
    guard let size = types.size(bare), let value = view.integer(place, size) else { return .unreadable }
    if types.kind(bare) == .pointer { return .pointer(value, places.place(value, isReturn: false)) }
    if types.isSigned(member.type) {
      let shift = UInt64(64 - 8 * size)
      return .signed(Int64(bitPattern: value << shift) >> Int64(shift))
    }
    return .number(value)
  }

  private func array(_ element: Int, _ count: Int, _ place: UInt64) -> Field.Value {
    let kind = types.kind(types.bare(element))
    guard let size = types.size(element), [1, 2, 4, 8].contains(size), kind != .structure, kind != .union, kind != .array else {
      return .opaque
    }
    if size == 1, let bytes = view.bytes(place, min(count, 256)) { return .text(cleanText(bytes.prefix { $0 != 0 })) }
    var values: [UInt64] = []
    for index in 0..<min(count, 16) {
      guard let value = view.integer(place &+ UInt64(index * size), size) else { return .unreadable }
      values.append(value)
    }
    return .numbers(values, isCut: count > 16)
  }
}
