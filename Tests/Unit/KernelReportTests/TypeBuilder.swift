import DumpBasics

/// Makes BTF.
struct TypeBuilder {
  private var strings: [UInt8] = [0]
  private var places: [String: UInt32] = ["": 0]
  private var types = ByteWriter()
  private(set) var count: UInt32 = 0
  private var firstString: UInt32 = 0

  init() {}

  /// Of types that go on from those of `base`.
  init(after base: TypeBuilder) {
    places = base.places
    count = base.count
    firstString = UInt32(base.strings.count)
    strings = []
  }

  mutating func string(_ text: String) -> UInt32 {
    if let place = places[text] { return place }
    let place = firstString + UInt32(strings.count)
    places[text] = place
    strings += Array(text.utf8) + [0]
    return place
  }

  private mutating func type(_ name: String, kind: UInt32, entries: Int = 0, flag: Bool = false, _ word: UInt32) -> UInt32 {
    types.u32(string(name))
    types.u32(kind << 24 | UInt32(entries) | (flag ? 1 << 31 : 0))
    types.u32(word)
    count += 1
    return count
  }

  mutating func integer(_ name: String, size: UInt32, signed: Bool = false) -> UInt32 {
    let made = type(name, kind: 1, size)
    types.u32((signed ? 1 << 24 : 0) | size * 8)
    return made
  }
  mutating func pointer(_ target: UInt32) -> UInt32 { type("", kind: 2, target) }
  mutating func typedef(_ name: String, _ target: UInt32) -> UInt32 { type(name, kind: 8, target) }
  mutating func const(_ target: UInt32) -> UInt32 { type("", kind: 10, target) }
  mutating func array(_ element: UInt32, _ length: UInt32) -> UInt32 {
    let made = type("", kind: 3, 0)
    for word in [element, 1, length] { types.u32(word) }
    return made
  }

  /// Members: name, type, offset in bytes.
  mutating func structure(_ name: String, size: UInt32, kind: UInt32 = 4, _ members: [(String, UInt32, UInt32)]) -> UInt32 {
    let made = type(name, kind: kind, entries: members.count, size)
    for (name, type, offset) in members {
      types.u32(string(name))
      types.u32(type)
      types.u32(offset * 8)
    }
    return made
  }

  /// Members: name, type, offset in bits, bits.
  mutating func bitFields(_ name: String, size: UInt32, _ members: [(String, UInt32, UInt32, UInt32)]) -> UInt32 {
    let made = type(name, kind: 4, entries: members.count, flag: true, size)
    for (name, type, offset, bits) in members {
      types.u32(string(name))
      types.u32(type)
      types.u32(bits << 24 | offset)
    }
    return made
  }

  mutating func enumeration(_ name: String, _ values: [(String, Int32)]) -> UInt32 {
    let made = type(name, kind: 6, entries: values.count, 4)
    for (name, value) in values {
      types.u32(string(name))
      types.u32(UInt32(bitPattern: value))
    }
    return made
  }

  var bytes: [UInt8] {
    var writer = ByteWriter()
    writer.u16(0xeb9f)
    writer.u8(1)
    writer.u8(0)
    for word in [24, 0, UInt32(types.count), UInt32(types.count), UInt32(strings.count)] { writer.u32(word) }
    writer.append(types.bytes)
    writer.append(strings)
    return writer.bytes
  }
}

/// The same sequence in every run.
struct FixedRandom: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return (state ^ state >> 29) &* 0x9e37_79b9_7f4a_7c15
  }
}
