/// The candidate that a typing error is most likely to have come from, or nil when none is near.
func nearestMatch(_ word: String, _ candidates: [String]) -> String? {
  let typed = Array(word.utf8.prefix(32))
  var best: (name: String, distance: Int)?
  for name in candidates {
    let distance = editDistance(typed, Array(name.utf8))
    if distance < best?.distance ?? Int.max { best = (name, distance) }
  }
  // More errors than about a third of the letters make another word.
  guard let best, best.distance <= max(1, (best.name.utf8.count + 1) / 3) else { return nil }
  return best.name
}

/// Levenshtein's: letters put in, taken out or replaced.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  var row = Array(0...b.count)
  for (i, x) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, y) in b.enumerated() {
      let above = row[j + 1]
      row[j + 1] = min(above + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
      diagonal = above
    }
  }
  return row[b.count]
}
