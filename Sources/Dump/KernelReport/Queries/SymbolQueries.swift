internal import CoreEncoding
internal import DumpBasics

extension KernelQueries {
  /// `mcore sym`: addresses by name, or names' addresses. A word that leads nowhere is a problem of its own.
  public func symbols(_ words: [String], json: Bool) -> Answer {
    var lines: [String] = []
    var entries: [JSON] = []
    var problems: [DumpError] = []
    for word in words {
      do throws(DumpError) {
        for place in try symbol(word) {
          lines.append(
            KernelQueries.address(word) == nil ? "\(hex(place.address)) \(place.name)" : "\(hex(place.address)) \(place.text)")
          entries.append(place.json)
        }
      } catch {
        problems.append(error)
      }
    }
    return Answer(text: json ? JSON.array(entries).text() : lines.joined(separator: "\n"), problems: problems)
  }

  private func symbol(_ word: String) throws(DumpError) -> [CodePlace] {
    if let address = KernelQueries.address(word) {
      let place = places.place(address, isReturn: false)
      guard place.function != nil else { throw failure("\(word) is in no function or variable that has a name") }
      return [place]
    }
    if let address = view.symbol(word) { return [CodePlace(address: address, function: word)] }
    // Several modules may have one name.
    let found = places.modules.compactMap { module in
      module.address(of: word, view).map { CodePlace(address: $0, function: word, module: module.name) }
    }
    if found.isEmpty { throw failure("the kernel and its modules have no symbol \(word)") }
    return found
  }

  /// The address of a variable or function of the kernel, else of a module.
  func anySymbol(_ name: String) -> UInt64? {
    view.symbol(name) ?? places.modules.lazy.compactMap { $0.address(of: name, view) }.first
  }

  /// `0x…`, or 16 hex digits.
  static func address(_ word: String) -> UInt64? {
    if word.utf8.starts(with: "0x".utf8) { return UInt64(word.dropFirst(2), radix: 16) }
    return word.utf8.count == 16 ? UInt64(word, radix: 16) : nil
  }
}

extension CodePlace {
  fileprivate var name: String { (function ?? "") + (module.map { " [\($0)]" } ?? "") }

  fileprivate var json: JSON {
    .object([
      ("address", .string(hex(address))), ("name", .optional(function)), ("offset", .unsigned(offset)), ("size", .unsigned(size)),
      ("module", .optional(module)),
    ])
  }
}
