/// Types as C writes them, roughly.
extension TypeTable {
  func text(of type: Int, depth: Int = 0) -> String {
    if depth > 12 { return "…" }
    func inner() -> String { text(of: target(type) ?? 0, depth: depth + 1) }
    switch kind(type) {
    case nil, .void: return "void"
    case .pointer: return inner() + " *"
    case .const: return "const " + inner()
    case .volatile: return "volatile " + inner()
    case .restrict, .typeTag, .declarationTag: return inner()
    case .array:
      guard let (element, count) = array(type) else { return "?" }
      return text(of: element, depth: depth + 1) + "[\(count)]"
    case .structure: return "struct " + (name(type) ?? "{…}")
    case .union: return "union " + (name(type) ?? "{…}")
    case .enumeration, .enumeration64: return "enum " + (name(type) ?? "{…}")
    case .prototype: return "function"
    case .forward: return "struct " + (name(type) ?? "?")
    default: return name(type) ?? "?"
    }
  }
}
