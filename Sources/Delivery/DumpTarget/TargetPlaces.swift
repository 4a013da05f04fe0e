/// For whoever prepares a crash kernel: where a target lies on the running system.
extension TargetSpec {
  /// The disk as it is named, and the directory on its file system; nil for other kinds.
  package var deviceAndPath: (device: String, path: String)? {
    (kind as? DeviceTarget).map { ($0.device.description, $0.path) }
  }

  /// The subvolume of btrfs that is named with the disk.
  package var subvolume: String? { (kind as? DeviceTarget)?.subvolume }

  /// The path of that disk's device, or nil while it is not there.
  package var devicePath: String? { (kind as? DeviceTarget)?.device.resolve() }

  /// A disk without a file system as it is named, and its device's path while it is there; nil for other
  /// kinds.
  package var rawDisk: (name: String, path: String?)? {
    (kind as? RawTarget).map { ($0.device.description, $0.device.resolve()) }
  }

  /// A command line of the shell that takes the dump; nil for other kinds.
  package var command: String? { (kind as? PipeTarget)?.command }

  /// A path of the running system; nil for other kinds.
  package var directoryPath: String? { (kind as? PathTarget)?.path }

  /// Programs by which another machine is reached, with what they are told; nil for other kinds.
  package enum FarSide: Sendable, Equatable {
    case ssh(user: String?, host: String, port: UInt64?)
    case http(host: String, isSecure: Bool)
    case nfs(host: String)
  }

  package var farSide: FarSide? {
    if let place = (kind as? SSHTarget)?.place { return .ssh(user: place.user, host: place.host, port: place.port) }
    if let place = (kind as? NFSTarget)?.place { return .nfs(host: place.host) }
    if let target = kind as? HTTPTarget, let host = target.host {
      return .http(host: host, isSecure: target.base.dropping(prefix: "https:") != nil)
    }
    return nil
  }
}
