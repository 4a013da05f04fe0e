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
  static let depthLimit = 24

  private let bytes: TableBytes
  /// The kernel's types, where these are a module's: their numbers and names go on from it.
  private let base: TypeTable?
  /// Whether the time is up; asked now and then in a pass.
  let isOver: () -> Bool
  private let typesStart: Int
  private let typesEnd: Int
  private let stringsStart: Int
  private let stringsEnd: Int
  /// How many types the base has, and how many bytes its strings take.
  private let firstType: Int
  private let firstString: Int
  /// Where type `firstType` + n begins; type 0 is void.
  private var places: [UInt32] = []
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

  /// Nil when this is no BTF. `names`: types and members that will be asked for. `base`: the types that these
  /// are an addition to.
  init?(_ bytes: TableBytes, names: [String], base: TypeTable? = nil, isOver: @escaping () -> Bool = { false }) {
    guard bytes.u16(0) == 0xeb9f, bytes.u8(2) == 1, let header = bytes.u32(4), let typesOffset = bytes.u32(8),
      let typesSize = bytes.u32(12), let stringsOffset = bytes.u32(16), let stringsSize = bytes.u32(20), header >= 24
    else { return nil }
    // 32-bit numbers: their sums don't overflow.
    let types = Int(header) + Int(typesOffset)
    let strings = Int(header) + Int(stringsOffset)
    guard types + Int(typesSize) <= bytes.count, strings + Int(stringsSize) <= bytes.count else { return nil }
    self.bytes = bytes
    self.base = base
    firstType = base?.count ?? 0
    firstString = base.map { $0.firstString + $0.stringsEnd - $0.stringsStart } ?? 0
    self.isOver = isOver
    typesStart = types
    typesEnd = types + Int(typesSize)
    stringsStart = strings
    stringsEnd = strings + Int(stringsSize)
    if base == nil { places = [0] }
    learn(names)
    goThroughTypes()
    if places.count < (base == nil ? 2 : 1) { return nil }
  }

  /// Of types, those of the base among them.
  var count: Int { firstType + places.count }

  // MARK: names

  /// One pass through all strings for those of `names` that are not known yet.
  private func learn(_ names: [String]) {
    var sought = SoughtNames()
    for name in names where strings[name] == nil { sought.insert(name) }
    if sought.names.isEmpty { return }
    var pass = StringPass(place: stringsStart)
    while pass.place < stringsEnd, !isOver(), let (piece, start) = bytes.piece(at: pass.place) {
      while let hash = pass.next(in: piece.span, from: start, upTo: stringsEnd, sought) {
        if let name = sought.names[hash], strings[name] == nil { strings[name] = firstString + pass.start - stringsStart }
      }
    }
    for name in sought.names.values where strings[name] == nil { strings[name] = -1 }
  }

  func place(of name: String) -> Int? {
    // A string stands in one of the two.
    if let place = base?.place(of: name) { return place }
    if strings[name] == nil { learn([name]) }
    return strings[name].flatMap { $0 < 0 ? nil : $0 }
  }

  /// Whether all types could be gone through: the record of a damaged one does not say where the next begins.
  private(set) var isWhole = false

  private func goThroughTypes() {
    let wanted = Set(strings.values)
    for place in wanted { named[place] = [] }
    var place = typesStart
    while place < typesEnd, places.count < TypeTable.typeLimit {
      if places.count & 0x1fff == 0, isOver() { return }
      guard let name = bytes.u32(place), let info = bytes.u32(place + 4), let size = TypeTable.size(info) else { return }
      if place + size > typesEnd { return }
      places.append(UInt32(truncatingIfNeeded: place))
      if name != 0, wanted.contains(Int(name)) { add(count - 1, to: Int(name)) }
      place += size
    }
    isWhole = place == typesEnd
  }

  /// Types of one name: a kernel has three at most, and many claim to.
  private func add(_ type: Int, to name: Int) {
    guard let kind = kind(type), TypeTable.ranks.joined().contains(kind), named[name, default: []].count < 16 else { return }
    named[name, default: []].append(type)
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

  func string(_ number: Int) -> String? {
    if let base, number < firstString { return base.string(number) }
    let place = number - firstString
    guard number > 0, place >= 0, place < stringsEnd - stringsStart else { return nil }
    return cleanText(bytes.text(stringsStart + place, limit: min(128, stringsEnd - stringsStart - place)))
  }

  func info(_ type: Int) -> UInt32? { word(type, 4) }

  func word(_ type: Int, _ offset: Int) -> UInt32? {
    if let base, type < firstType { return base.word(type, offset) }
    guard type > 0, type < count else { return nil }
    return bytes.u32(Int(places[type - firstType]) + offset)
  }

  func entries(_ type: Int) -> Int { Int((info(type) ?? 0) & 0xffff) }

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
    if let type = base?.type(named: name) { return type }
    guard let place = place(of: name) else { return nil }
    if let types = named[place] { return preferred(types) }
    named[place] = []
    for index in places.indices where places[index] > 0 && bytes.u32(Int(places[index])).map({ Int($0) }) == place {
      add(firstType + index, to: place)
    }
    return preferred(named[place] ?? [])
  }

  /// The type of the variable of this name. A kernel's types name those that each CPU has of its own.
  func variable(named name: String) -> Int? {
    guard let place = place(of: name) else { return nil }
    for index in places.indices where places[index] > 0 && bytes.u32(Int(places[index])).map({ Int($0) }) == place {
      if kind(firstType + index) == .variable { return target(firstType + index) }
    }
    return nil
  }

  /// Kinds that a name stands for, the first that there is.
  private static let ranks: [[Kind]] = [[.structure, .union], [.enumeration, .enumeration64], [.typedef], [.integer, .float]]

  private func preferred(_ types: [Int]) -> Int? {
    for wanted in TypeTable.ranks {
      if let type = types.first(where: { kind($0).map { wanted.contains($0) } ?? false }) { return type }
    }
    return nil
  }
}
