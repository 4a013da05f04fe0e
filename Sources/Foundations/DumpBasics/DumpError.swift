/// What went wrong, where, and what can be done: the one error of mcore.
///
/// Printed as one line: `what (where): advice`. Text that comes from a dump passes through `printable`, so
/// that no control character of a hostile file reaches a terminal.
public struct DumpError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What a caller may want to decide on.
  public enum Kind: Sendable, Equatable {
    /// The words of the command are wrong (exit 2).
    case usage
    /// The dump, or what was taken for one, is damaged or not understood.
    case input
    /// A system call failed with this errno.
    case system(Int32)
    /// The target has no room left (ENOSPC, EDQUOT, or a limit that was set).
    case full
    /// Not supported by this build or version.
    case unsupported
  }

  public var kind: Kind
  public var what: String
  /// File, offset, pfn, key: whatever leads a person to the place.
  public var place: String
  public var advice: String

  /// Damaged or unknown input: the most frequent kind.
  public init(_ what: String, at place: String = "", advice: String = "") {
    self.init(.input, what, at: place, advice: advice)
  }

  public init(_ kind: Kind, _ what: String, at place: String = "", advice: String = "") {
    self.kind = kind
    self.what = what
    self.place = place
    self.advice = advice
  }

  public var description: String {
    var line = printable(what)
    if !place.isEmpty { line += " (\(printable(place)))" }
    if !advice.isEmpty { line += "; \(printable(advice))" }
    return line
  }

  /// The same error with an outer place put before its own: `dump.elf, program header 3`.
  public func inside(_ outer: String) -> DumpError {
    var copy = self
    copy.place = place.isEmpty ? outer : "\(outer), \(place)"
    return copy
  }
}

/// `text` with everything that could steer a terminal made visible: C0 and C1 controls become `\xNN`, what
/// turns the direction of text `\uNNNN`. Newlines too: what calls this prints one line.
public func printable(_ text: String) -> String {
  var clean = ""
  clean.reserveCapacity(text.utf8.count)
  for scalar in text.unicodeScalars {
    if scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) || isInvisibleFormat(scalar.value) {
      clean += (scalar.value < 0x100 ? "\\x" : "\\u") + padded(scalar.value, 2, radix: 16)
    } else {
      clean.unicodeScalars.append(scalar)
    }
  }
  return clean
}

/// Whether a character is never seen and makes the text around it look like another: it turns its direction,
/// or joins and parts what stands beside it (Unicode's general category Cf, and the separators of lines).
@inline(never)
public func isInvisibleFormat(_ scalar: UInt32) -> Bool {
  switch scalar {
  case 0xad, 0x61c, 0x180e, 0x200b...0x200f, 0x2028...0x202e, 0x2060...0x206f, 0xfeff, 0xfff9...0xfffb: true
  default: false
  }
}
