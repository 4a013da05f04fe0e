/// Where a pass through all packed names is.
struct NamePass {
  let text: [UInt8]
  let bounds: [Range<Int>]
  let sought: SoughtNames
  var place = 0
  var index = 0
  /// Letters that may still be spelled: names of a kernel have 20 on average.
  private var lettersLeft: Int
  /// Where every `stride`th name begins; `unknown` where that can't be told.
  private(set) var marks: [UInt32]

  static let stride = 64
  /// No symbol of a kernel has a longer name (KSYM_NAME_LEN is 512).
  static let nameLimit = 512
  static let unknown = UInt32.max

  init(text: [UInt8], bounds: [Range<Int>], sought: SoughtNames, count: Int) {
    self.text = text
    self.bounds = bounds
    self.sought = sought
    lettersLeft = 128 * count + 4096
    marks = [UInt32](repeating: NamePass.unknown, count: (count + NamePass.stride - 1) / NamePass.stride)
  }

  var isSpent: Bool { lettersLeft <= 0 }

  /// Notes where the name that comes now begins, of each `stride`th.
  mutating func mark() {
    if index % NamePass.stride == 0 { marks[index / NamePass.stride] = UInt32(truncatingIfNeeded: place) }
  }

  /// What was noted of these names is wrong.
  mutating func forget(_ names: Range<Int>) {
    for index in names where index % NamePass.stride == 0 { marks[index / NamePass.stride] = NamePass.unknown }
  }

  /// The hash of the next name that may be one that is sought; `index` is behind it then. Nil at the first
  /// name that is not wholly in the piece.
  mutating func next(in piece: Span<UInt8>, from start: Int, upTo count: Int) -> UInt64? {
    while index < count, lettersLeft > 0 {
      var at = place - start
      guard at < piece.count else { return nil }
      var length = Int(piece[at])
      at += 1
      if length & 0x80 != 0 {
        guard at < piece.count else { return nil }
        length = length & 0x7f | Int(piece[at]) << 7
        at += 1
      }
      guard length <= piece.count - at else { return nil }
      mark()
      var hash = NameHash()
      var letters = 0
      for token in at..<at + length where letters < NamePass.nameLimit {
        for letter in bounds[Int(piece[token])] {
          if letters > 0 { hash.add(text[letter]) }
          letters += 1
        }
      }
      lettersLeft -= letters
      place = start + at + length
      index += 1
      if sought.mayContain(hash.value) { return hash.value }
    }
    return nil
  }
}
