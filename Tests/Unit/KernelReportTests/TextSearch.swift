/// Whether `piece` stands in `text`: the standard library has this in Foundation alone.
func contains(_ text: String, _ piece: String) -> Bool {
  let text = Array(text.utf8)
  let piece = Array(piece.utf8)
  if piece.isEmpty || piece.count > text.count { return piece.isEmpty }
  return (0...text.count - piece.count).contains { start in piece.indices.allSatisfy { text[start + $0] == piece[$0] } }
}
