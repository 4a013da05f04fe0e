internal import DumpBasics

/// `[user@]host[:port]:/path`, the part of a target word that names a place on another machine. An IPv6
/// address stands in brackets.
struct RemoteHost: Sendable, Equatable {
  var user: String?
  /// Without brackets.
  var host: String
  var port: UInt64?
  /// Absolute.
  var path: String

  /// - Throws: `.usage`; `word` is the whole target word, `form` how it should look.
  init(_ text: String, in word: String, form: String) throws(DumpError) {
    func wrong(_ what: String) -> DumpError { DumpError(.usage, what, at: word, advice: "write \(form)") }
    var rest = text
    user = nil
    if let (before, after) = text.split(atFirst: "@"), !before.utf8.contains(0x2f) {
      guard RemoteHost.isName(before) else { throw wrong("'\(before)' is no user's name") }
      user = before
      rest = after
    }
    if let inBrackets = rest.dropping(prefix: "[") {
      guard let (address, after) = inBrackets.split(atFirst: "]"), RemoteHost.isAddress(address) else {
        throw wrong("there is no IPv6 address between the brackets")
      }
      host = address
      rest = after
    } else {
      guard let (name, after) = rest.split(atFirst: ":"), RemoteHost.isName(name) else { throw wrong("there is no host's name") }
      host = name
      rest = ":" + after
    }
    guard let afterHost = rest.dropping(prefix: ":") else { throw wrong("a : is missing behind the host") }
    if afterHost.utf8.first == 0x2f {
      path = afterHost
    } else {
      guard let (text, after) = afterHost.split(atFirst: ":"), let value = number(text, upTo: 65_535), value > 0,
        after.utf8.first == 0x2f
      else { throw wrong("there is no absolute path") }
      port = value
      path = after
    }
    if path.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) { throw wrong("the path has a control character in it") }
  }

  /// The host as it stands before a colon.
  var inBrackets: String { host.utf8.contains(0x3a) ? "[\(host)]" : host }

  /// Letters, digits and `.-_`. The first is no `-`: programs would take it for an option.
  private static func isName(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.first != 0x2d
      && text.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) || $0 == 0x2d || $0 == 0x2e
          || $0 == 0x5f
      }
  }

  /// Hexadecimal digits and colons; then a zone (`%eth0`), if any.
  private static func isAddress(_ text: String) -> Bool {
    let (address, zone) = text.split(atFirst: "%") ?? (text, "x")
    return address.utf8.contains(0x3a) && isName(zone)
      && address.utf8.allSatisfy {
        (0x30...0x3a).contains($0) || (0x41...0x46).contains($0) || (0x61...0x66).contains($0) || $0 == 0x2e
      }
  }
}

/// `text` as one word of a POSIX shell.
func shellQuoted(_ text: String) -> String {
  var quoted: [UInt8] = [0x27]
  for byte in text.utf8 { quoted += byte == 0x27 ? Array("'\\''".utf8) : [byte] }
  return String(decoding: quoted + [0x27], as: UTF8.self)
}

/// A number of plain digits, or nil. Not the standard library's: each type of integer that is read from text
/// costs mcore-capture some kilobytes.
func number(_ text: String, radix: UInt64 = 10, upTo limit: UInt64 = .max) -> UInt64? {
  var value: UInt64 = 0
  var isEmpty = true
  for byte in text.utf8 {
    let digit: UInt64
    switch byte {
    case 0x30...0x39: digit = UInt64(byte) - 0x30
    case 0x61...0x66: digit = UInt64(byte) - 0x57
    default: return nil
    }
    let (tens, isTooLarge) = value.multipliedReportingOverflow(by: radix)
    let (sum, isOver) = tens.addingReportingOverflow(digit)
    guard digit < radix, !isTooLarge, !isOver, sum <= limit else { return nil }
    value = sum
    isEmpty = false
  }
  return isEmpty ? nil : value
}

/// The lines of what a program said; ssh ends its own with a carriage return too.
private func lines(_ text: String) -> [String] {
  text.utf8.split { $0 == 0x0a || $0 == 0x0d }.map { String(decoding: $0, as: UTF8.self) }
}

/// The last line of what a program said.
func lastLine(_ text: String) -> String { lines(text).last ?? text }

/// The first line of what a program said that holds `word`.
func line(of text: String, with word: String) -> String? { lines(text).first { $0.split(atFirst: word) != nil } }
