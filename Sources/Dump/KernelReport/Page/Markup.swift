internal import DumpBasics

/// HTML on its way to a page. Markup is what stands in mcore's own source (`StaticString`); everything else
/// goes through `text`, which escapes it. So nothing from a dump can become markup.
struct Markup {
  private(set) var html = ""
  /// What there is so far: the list at the top of the page.
  private(set) var sections: [(id: StaticString, title: String)] = []

  mutating func add(_ other: Markup) { html += other.html }

  mutating func raw(_ markup: StaticString) { html += markup.description }

  /// Text, safe between tags and within a quoted attribute.
  mutating func text(_ text: String) {
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x26: html += "&amp;"
      case 0x3c: html += "&lt;"
      case 0x3e: html += "&gt;"
      case 0x22: html += "&quot;"
      case 0x27: html += "&#39;"
      case 0x0a: html += "\n"
      // Controls, and what turns the direction of the text around it.
      case 0..<0x20, 0x7f...0x9f: html += "\\u{" + String(scalar.value, radix: 16) + "}"
      case let value where isInvisibleFormat(value): html += "\\u{" + String(value, radix: 16) + "}"
      default: html.unicodeScalars.append(scalar)
      }
    }
  }

  mutating func number(_ value: some BinaryInteger) { html += String(value) }

  /// `<name>text</name>`.
  mutating func element(_ name: StaticString, _ text: String) { within(name) { $0.text(text) } }

  /// `<name class="style">text</name>`.
  mutating func element(_ name: StaticString, style: StaticString, _ text: String) {
    within(name, style: style) { $0.text(text) }
  }

  mutating func within(_ name: StaticString, style: StaticString? = nil, _ body: (inout Markup) -> Void) {
    html += "<" + name.description
    if let style { html += " class=\"" + style.description + "\"" }
    html += ">"
    body(&self)
    html += "</" + name.description + ">"
  }

  /// A section with its heading, which the list at the top of the page leads to.
  mutating func section(_ id: StaticString, _ title: String, _ body: (inout Markup) -> Void) {
    sections.append((id, title))
    html += "<section id=\"" + id.description + "\">"
    element("h2", title)
    body(&self)
    html += "</section>\n"
  }

  /// What opens and closes. `isOpen`: it is open at first.
  mutating func folded(isOpen: Bool = false, _ summary: (inout Markup) -> Void, _ body: (inout Markup) -> Void) {
    html += isOpen ? "<details open>" : "<details>"
    within("summary", summary)
    body(&self)
    html += "</details>\n"
  }

  /// A table; the first column is text, the others are numbers.
  mutating func table(_ head: [String], _ rows: [[String]]) {
    within("table") { page in
      page.within("thead") { page in page.within("tr") { page in for cell in head { page.element("th", cell) } } }
      page.within("tbody") { page in
        for row in rows { page.within("tr") { page in for cell in row { page.element("td", cell) } } }
      }
    }
  }
}
