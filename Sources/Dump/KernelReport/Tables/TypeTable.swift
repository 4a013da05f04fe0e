internal import CrashedKernel
internal import DumpBasics

/// The kernel's types: its BTF (Documentation/bpf/btf.rst, include/uapi/linux/btf.h).
///
/// Names are not unpacked: a name that is wanted is looked for once among the strings, which BTF holds once
/// each, and then types and members are compared by the place of their name.
final class TypeTable {
  /// Bytes of one BTF. Real ones have 3 to 6 MB.
  static let sizeLimit = 64 << 20
  private static let typeLimit = 1 << 20
  /// typedefs, qualifiers, arrays and anonymous members inside one another.
  private static let depthLimit = 24

  private let bytes: TableBytes
  /// Whether the time is up; asked now and then in a pass.
  private let isOver: () -> Bool
  private let typesStart: Int
  private let typesEnd: Int
  private let stringsStart: Int
  private let stringsEnd: Int
  /// Where type n begins; type 0 is void.
  private var places: [UInt32] = [0]
  /// Names → where they stand among the strings; -1: nowhere.
  private var strings: [String: Int] = [:]
  /// Place of a name → types of that name, where the name was known when the types were gone through.
  private var named: [Int: [Int]] = [:]

  enum Kind: UInt8 {
    case void = 0
    case integer, pointer, array, structure, union, enumeration, forward, typedef, volatile, const, restrict, function
    case prototype, variable, section, float, declarationTag, typeTag, enumeration64
  }

  /// One member, as far as a reader of memory needs it.
  struct Member {
    /// From the start of the structure that was asked for.
    var bitOffset: Int
    /// Of a bit field; 0 for a member of whole bytes.
    var bits: Int
    var type: Int
    var offset: Int { bitOffset / 8 }
  }

  /// Nil when this is no BTF. `names`: types and members that will be asked for.
  init?(_ bytes: TableBytes, names: [String], isOver: @escaping () -> Bool = { false }) {
    guard bytes.u16(0) == 0xeb9f, bytes.u8(2) == 1, let header = bytes.u32(4), let typesOffset = bytes.u32(8),
      let typesSize = bytes.u32(12), let stringsOffset = bytes.u32(16), let stringsSize = bytes.u32(20), header >= 24
    else { return nil }
    // 32-bit numbers: their sums don't overflow.
    let types = Int(header) + Int(typesOffset)
    let strings = Int(header) + Int(stringsOffset)
    guard types + Int(typesSize) <= bytes.count, strings + Int(stringsSize) <= bytes.count else { return nil }
    self.bytes = bytes
    self.isOver = isOver
    typesStart = types
    typesEnd = types + Int(typesSize)
    stringsStart = strings
    stringsEnd = strings + Int(stringsSize)
    learn(names)
    goThroughTypes()
    if places.count < 2 { return nil }
  }

  var count: Int { places.count }

  // MARK: names

  /// One pass through all strings for those of `names` that are not known yet.
  private func learn(_ names: [String]) {
    var sought = SoughtNames()
    for name in names where strings[name] == nil { sought.insert(name) }
    if sought.names.isEmpty { return }
    var pass = StringPass(place: stringsStart)
    while pass.place < stringsEnd, !isOver(), let (piece, start) = bytes.piece(at: pass.place) {
      while let hash = pass.next(in: piece.span, from: start, upTo: stringsEnd, sought) {
        if let name = sought.names[hash], strings[name] == nil { strings[name] = pass.start - stringsStart }
      }
    }
    for name in sought.names.values where strings[name] == nil { strings[name] = -1 }
  }

  private func place(of name: String) -> Int? {
    if strings[name] == nil { learn([name]) }
    return strings[name].flatMap { $0 < 0 ? nil : $0 }
  }

  private func goThroughTypes() {
    let wanted = Set(strings.values)
    var place = typesStart
    while place < typesEnd, places.count < TypeTable.typeLimit {
      if places.count & 0x1fff == 0, isOver() { return }
      guard let name = bytes.u32(place), let info = bytes.u32(place + 4), let size = TypeTable.size(info) else { return }
      if place + size > typesEnd { return }
      if wanted.contains(Int(name)), name != 0 { named[Int(name), default: []].append(places.count) }
      places.append(UInt32(truncatingIfNeeded: place))
      place += size
    }
  }

  /// Bytes of a type's record; nil for a kind that is not known.
  private static func size(_ info: UInt32) -> Int? {
    let entries = Int(info & 0xffff)
    guard let kind = Kind(rawValue: UInt8(info >> 24 & 0x1f)) else { return nil }
    switch kind {
    case .void: return nil
    case .integer, .variable, .declarationTag: return 16
    case .array: return 24
    case .structure, .union, .section, .enumeration64: return 12 + 12 * entries
    case .enumeration, .prototype: return 12 + 8 * entries
    case .pointer, .forward, .typedef, .volatile, .const, .restrict, .function, .float, .typeTag: return 12
    }
  }

  // MARK: one type

  func kind(_ type: Int) -> Kind? { info(type).flatMap { Kind(rawValue: UInt8($0 >> 24 & 0x1f)) } }

  func name(_ type: Int) -> String? { word(type, 0).flatMap { string(Int($0)) } }

  private func string(_ place: Int) -> String? {
    guard place > 0, place < stringsEnd - stringsStart else { return nil }
    return cleanText(bytes.text(stringsStart + place, limit: min(128, stringsEnd - stringsStart - place)))
  }

  private func info(_ type: Int) -> UInt32? { word(type, 4) }

  private func word(_ type: Int, _ offset: Int) -> UInt32? {
    guard type > 0, type < places.count else { return nil }
    return bytes.u32(Int(places[type]) + offset)
  }

  private func entries(_ type: Int) -> Int { Int((info(type) ?? 0) & 0xffff) }

  /// The type that a pointer, typedef or qualifier leads to.
  func target(_ type: Int) -> Int? { word(type, 8).map { Int($0) } }

  /// Element type and number of elements of an array.
  func array(_ type: Int) -> (element: Int, count: Int)? {
    guard kind(type) == .array, let element = word(type, 12), let count = word(type, 20) else { return nil }
    return (Int(element), Int(count))
  }

  /// Without typedefs and qualifiers.
  func bare(_ type: Int) -> Int {
    var type = type
    for _ in 0..<TypeTable.depthLimit {
      switch kind(type) {
      case .typedef, .volatile, .const, .restrict, .typeTag: type = target(type) ?? 0
      default: return type
      }
    }
    return 0
  }

  func size(_ type: Int, depth: Int = 0) -> Int? {
    if depth > TypeTable.depthLimit { return nil }
    let type = bare(type)
    switch kind(type) {
    case .integer, .structure, .union, .enumeration, .enumeration64, .float: return word(type, 8).map { Int($0) }
    case .pointer: return 8
    case .array:
      guard let (element, count) = array(type), let size = size(element, depth: depth + 1) else { return nil }
      let (bytes, overflow) = size.multipliedReportingOverflow(by: count)
      return overflow ? nil : bytes
    default: return nil
    }
  }

  /// Whether an integer (or what leads to one) is signed.
  func isSigned(_ type: Int) -> Bool {
    let type = bare(type)
    switch kind(type) {
    case .integer: return (word(type, 12) ?? 0) >> 24 & 1 == 1
    case .enumeration, .enumeration64: return (info(type) ?? 0) >> 31 == 1
    default: return false
    }
  }

  // MARK: by name

  /// The structure, union, enumeration, typedef or integer of this name.
  func type(named name: String) -> Int? {
    guard let place = place(of: name) else { return nil }
    if let types = named[place] { return preferred(types) }
    var types: [Int] = []
    for type in 1..<places.count where types.count < 16 && bytes.u32(Int(places[type])) == UInt32(place) { types.append(type) }
    named[place] = types
    return preferred(types)
  }

  private func preferred(_ types: [Int]) -> Int? {
    for wanted in [[Kind.structure, .union], [.enumeration, .enumeration64], [.typedef], [.integer, .float]] {
      if let type = types.first(where: { kind($0).map { wanted.contains($0) } ?? false }) { return type }
    }
    return nil
  }

  /// The member that a path like `thread.sp` leads to; members of anonymous structures count as the outer
  /// one's, as in C.
  func member(_ structure: String, _ path: String) -> Member? { type(named: structure).flatMap { member($0, path) } }

  func member(_ type: Int, _ path: String) -> Member? {
    var found = Member(bitOffset: 0, bits: 0, type: type)
    for name in path.utf8.split(separator: UInt8(ascii: ".")) {
      guard let place = place(of: cleanText(name)), let next = member(bare(found.type), place: place, depth: 0) else {
        return nil
      }
      found = Member(bitOffset: found.bitOffset + next.bitOffset, bits: next.bits, type: next.type)
    }
    return found
  }

  private func member(_ type: Int, place: Int, depth: Int) -> Member? {
    guard depth < TypeTable.depthLimit, kind(type) == .structure || kind(type) == .union else { return nil }
    var unnamed: [Member] = []
    for index in 0..<entries(type) {
      guard let (name, member) = rawMember(type, index) else { return nil }
      if name == place { return member }
      if name == 0 { unnamed.append(member) }
    }
    for outer in unnamed {
      if let inner = member(bare(outer.type), place: place, depth: depth + 1) {
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

/// Where a pass through all strings is.
private struct StringPass {
  var place: Int
  /// Where the string that was found last begins.
  private(set) var start: Int
  private var next: Int
  private var hash = NameHash()

  init(place: Int) {
    self.place = place
    start = place
    next = place
  }

  /// The hash of the next string that may be one that is sought. Nil at the end of the piece.
  mutating func next(in piece: Span<UInt8>, from pieceStart: Int, upTo end: Int, _ sought: SoughtNames) -> UInt64? {
    let limit = min(end, pieceStart + piece.count)
    while place < limit {
      let byte = piece[place - pieceStart]
      place += 1
      if byte != 0 {
        hash.add(byte)
        continue
      }
      let found = hash.value
      start = next
      next = place
      hash = NameHash()
      if sought.mayContain(found) { return found }
    }
    return nil
  }
}
