/// How dumps travel: what holds for every target of a request.
public struct TransferOptions: Sendable, Equatable {
  /// Seconds for which a target may take no byte, also in a mount or an fsync; 0 is for ever.
  public var stallSeconds: UInt64 = TransferOptions.standardStall
  /// Seconds within which a far side that can't be reached is tried again.
  public var waitSeconds: UInt64 = 0
  /// Bytes a second that go out over a network; 0 is as many as it takes.
  public var maxRate: UInt64 = 0
  /// For ssh: the file of the private key, and of the host keys that are believed. Nil: as ssh is set up.
  public var sshKey: String?
  public var sshKnownHosts: String?
  /// For curl: a file of its options (curl(1), `--config`), for CA certificates, logins, proxies.
  public var curlConfig: String?
  /// Write to a raw disk whatever is on it.
  public var force = false

  public static let standardStall: UInt64 = 180

  public init() {}
}
