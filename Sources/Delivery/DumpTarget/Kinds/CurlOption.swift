extension Curl {
  /// One line of a file of options (curl(1), `--config`): nil where it holds none.
  ///
  /// `cacert = "/x"`, `cacert: /x`, `--cacert /x`, `-k`.
  package static func option(_ line: Substring.UTF8View) -> (option: String, value: String)? {
    let isBlank = { (byte: UInt8) in [0x20, 0x09, 0x0d].contains(byte) }
    let line = line.drop(while: isBlank)
    guard let first = line.first, first != 0x23 else { return nil }
    let name = line.drop { $0 == 0x2d }
    let option = name.prefix { !isBlank($0) && $0 != 0x3d && $0 != 0x3a }
    var value = Array(name[option.endIndex...].drop { isBlank($0) || $0 == 0x3d || $0 == 0x3a })
    if value.first == 0x22 {
      value = Array(value.dropFirst().prefix { $0 != 0x22 })
    } else {
      value = Array(value.prefix { !isBlank($0) })
    }
    return (String(Substring(option)), String(decoding: value, as: UTF8.self))
  }
}
