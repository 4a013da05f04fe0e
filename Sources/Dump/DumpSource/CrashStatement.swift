/// What the header of a file says of the crash, in a format that has such a header. Claims of the file:
/// texts may hold anything.
///
/// What the kernel in the dump says itself counts before it.
public struct CrashStatement: Sendable, Equatable {
  /// The six strings of struct new_utsname: sysname, nodename, release, version, machine, domainname.
  public var names: [String]
  /// Seconds since 1970 (UTC).
  public var crashTime: Int64?
  /// What `panic` was called with.
  public var reason: String?

  public init(names: [String], crashTime: Int64?, reason: String?) {
    self.names = names
    self.crashTime = crashTime
    self.reason = reason
  }

  /// `uname -r`.
  public var release: String? { names.count > 2 && !names[2].isEmpty ? names[2] : nil }
}
