/// Where a pass through all strings is.
struct StringPass {
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
