internal import DumpBasics

extension Markup {
  private static let columnWidth = 4
  private static let height = 160

  /// Memory by class and address: a bar for each share of memory, made of its classes; and the sums.
  mutating func chart(_ map: MemoryMap) {
    let totals = map.totals
    let all = totals.reduce(0) { clampedSum($0, $1) }
    if all == 0 { return }
    element("h3", "By class and address")
    raw("<figure class=\"memory\"><svg viewBox=\"0 0 ")
    number(MemoryMap.columns * Markup.columnWidth)
    raw(" ")
    number(Markup.height + 20)
    raw("\" role=\"img\"><title>")
    text(zip(map.classes, totals).filter { $0.1 > 0 }.map { "\($0): \(bytes($1, map))" }.joined(separator: ", "))
    raw("</title>")
    for index in map.classes.indices where totals[index] > 0 {
      raw("<path class=\"c")
      number(index)
      raw("\" d=\"")
      bars(map, index)
      raw("\"/>")
    }
    for gap in map.gaps {
      raw("<path class=\"gap\" d=\"M")
      number(gap * Markup.columnWidth)
      raw(" 0V")
      number(Markup.height)
      raw("\"/>")
    }
    axis(map)
    raw("</svg></figure>")
    within("table", style: "legend") { page in
      for (index, name) in map.classes.enumerated() where totals[index] > 0 {
        page.raw("<tr><td><svg class=\"swatch\" viewBox=\"0 0 10 10\"><path class=\"c")
        page.number(index)
        page.raw("\" d=\"M0 0h10v10h-10z\"/></svg> ")
        page.text(name)
        page.raw("</td>")
        page.element("td", page.bytes(totals[index], map))
        page.element("td", "\(totals[index].multipliedFullWidth(by: 1000).high == 0 ? permille(totals[index], all) : "?") %")
        page.raw("</tr>")
      }
    }
  }

  /// The part that class `number` has of each column, above the classes before it.
  private mutating func bars(_ map: MemoryMap, _ number: Int) {
    let scale = max(map.pagesPerColumn, 1)
    func y(_ pages: UInt64) -> Int {
      let (high, low) = min(pages, scale).multipliedFullWidth(by: UInt64(Markup.height))
      return Markup.height - Int(clamping: scale.dividingFullWidth((high, low)).quotient)
    }
    for (column, counts) in map.counts.enumerated() where counts[number] > 0 {
      let below = counts[..<number].reduce(0, +)
      let (bottom, top) = (y(below), y(below + counts[number]))
      if bottom == top { continue }
      raw("M")
      self.number(column * Markup.columnWidth)
      raw(" ")
      self.number(bottom)
      raw("V")
      self.number(top)
      raw("h4V")
      self.number(bottom)
      raw("z")
    }
  }

  private mutating func axis(_ map: MemoryMap) {
    for column in stride(from: 0, to: MemoryMap.columns, by: MemoryMap.columns / 4) {
      raw("<text x=\"")
      number(column * Markup.columnWidth)
      raw("\" y=\"")
      number(Markup.height + 14)
      raw("\">")
      text(hex(map.address(ofColumn: column)))
      raw("</text>")
    }
  }

  private func bytes(_ pages: UInt64, _ map: MemoryMap) -> String {
    let (bytes, overflow) = pages.multipliedReportingOverflow(by: map.pageBytes)
    return overflow ? "\(pages) pages" : humanBytes(bytes)
  }
}

/// `12.3` of a hundred.
private func permille(_ part: UInt64, _ all: UInt64) -> String {
  let share = part * 1000 / all
  return "\(share / 10).\(share % 10)"
}
