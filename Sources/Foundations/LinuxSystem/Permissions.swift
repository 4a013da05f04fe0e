internal import Glibc

extension System {
  /// The permission bits of a file, or nil where it is not there.
  public static func permissions(of path: String) -> UInt32? {
    var info = stat()
    guard unsafe stat(path, &info) == 0 else { return nil }
    return info.st_mode & 0o7777
  }
}

extension System {
  /// Whether this process may do what only root may.
  public static var isRoot: Bool { geteuid() == 0 }
}
