internal import DumpBasics
internal import LinuxSystem

/// A connection of ssh that several commands share (ssh_config(5), ControlMaster): one login for all of them.
/// The first command makes it; a process of ssh keeps it open in the background. Where the far side allows
/// one session only, or the connection is gone, ssh makes another one by itself.
struct SSHConnection: Sendable {
  /// Nobody else can look into it, and so nobody else can use the connection.
  private let directory: String
  /// As long as a disk on the far side may take to write everything out, and somewhat more: then the process
  /// in the background ends, whatever became of this one.
  private static let idleSeconds = 240

  init() throws(DumpError) { directory = try System.makePrivateDirectory(in: "/tmp") }

  private var socket: String { directory + "/s" }
  var options: [String] {
    ["ControlMaster=auto", "ControlPath=\(socket)", "ControlPersist=\(SSHConnection.idleSeconds)"].flatMap { ["-o", $0] }
  }

  /// `command` tells the process in the background to end. It needs nothing of the far side for that.
  func close(by command: Command) {
    if System.kind(of: socket) != nil { _ = try? System.run(command, limitSeconds: 3) }
    try? System.unlink(socket)
    try? System.rmdir(directory)
  }
}
