/// The directory that holds `path`: `.` for a plain name.
public func parentDirectory(of path: String) -> String {
  let bytes = Array(path.utf8)
  var end = bytes.count
  while end > 1, bytes[end - 1] == 0x2f { end -= 1 }
  guard let slash = bytes[..<end].lastIndex(of: 0x2f) else { return "." }
  var last = slash
  while last > 0, bytes[last - 1] == 0x2f { last -= 1 }
  return last == 0 ? "/" : String(decoding: bytes[..<last], as: UTF8.self)
}

/// The last part of a path; the path itself where it has none.
public func lastName(of path: String) -> String {
  path.utf8.split(separator: 0x2f).last.map { String(Substring($0)) } ?? path
}
