/// Where a setting stood. Later places win over earlier ones.
package enum Place: Int, Sendable, Comparable, CaseIterable {
  case file
  case kernelCommandLine
  case arguments

  package static func < (a: Place, b: Place) -> Bool { a.rawValue < b.rawValue }
}

/// One word of the settings, with where it stood.
package struct Word: Sendable, Equatable {
  package var text: String
  package var place: Place
  /// For people: `/etc/mcore.conf, line 3`.
  package var origin: String
}

/// Splits text into settings words as the kernel splits its command line (next_arg in lib/cmdline.c): at
/// blanks that do not stand between double quotes. Quotes around a whole word, or around the value after its
/// `=`, are taken away.
package enum Words {
  /// What marks a word of the kernel command line as ours.
  package static let prefix = "mcore."

  /// The words with the prefix, without it. Nothing else on the command line is looked at.
  package static func ofKernelCommandLine(_ text: String) -> [Word] {
    split(Array(text.utf8)).compactMap { word in
      let bytes = Array(word.utf8)
      guard bytes.starts(with: prefix.utf8) else { return nil }
      return Word(
        text: String(decoding: bytes.dropFirst(prefix.utf8.count), as: UTF8.self), place: .kernelCommandLine,
        origin: "kernel command line")
    }
  }

  /// One or several words a line; `#` at the start of a word makes the rest of the line a comment.
  package static func ofFile(_ text: String, _ path: String) -> [Word] {
    var words: [Word] = []
    for (index, line) in text.utf8.split(separator: 0x0a, omittingEmptySubsequences: false).enumerated() {
      for word in split(Array(line), comments: true) {
        words.append(Word(text: word, place: .file, origin: "\(path), line \(index + 1)"))
      }
    }
    return words
  }

  /// The program's own arguments, which the shell has split already.
  package static func ofArguments(_ arguments: [String]) -> [Word] {
    arguments.enumerated().map { Word(text: $1, place: .arguments, origin: "argument \($0 + 1)") }
  }

  package static func split(_ bytes: [UInt8], comments: Bool = false) -> [String] {
    var words: [String] = []
    var index = 0
    while index < bytes.count {
      if isBlank(bytes[index]) {
        index += 1
        continue
      }
      if comments, bytes[index] == 0x23 { break }
      let start = index
      var isQuoted = false
      while index < bytes.count, isQuoted || !isBlank(bytes[index]) {
        if bytes[index] == 0x22 { isQuoted.toggle() }
        index += 1
      }
      words.append(unquoted(Array(bytes[start..<index])))
    }
    return words
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }

  private static func unquoted(_ word: [UInt8]) -> String {
    var word = word
    if word.first == 0x22 {
      word.removeFirst()
      if word.last == 0x22 { word.removeLast() }
    } else if let equals = word.firstIndex(of: 0x3d), equals + 1 < word.count, word[equals + 1] == 0x22 {
      word.remove(at: equals + 1)
      if word.last == 0x22 { word.removeLast() }
    }
    return String(decoding: word, as: UTF8.self)
  }
}
