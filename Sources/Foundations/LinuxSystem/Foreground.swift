public import DumpBasics
internal import CLinux
internal import Glibc

/// A program that a person works with on this terminal, and what this process has ready for it meanwhile.
extension System {
  /// From now on SIGINT, SIGQUIT, SIGTERM and SIGHUP do not end this process, so that it can clean up.
  /// `once`: one that comes two seconds after the first does, for work that may hang.
  public static func holdSignals(once: Bool = false) { mcore_hold_signals(once ? 1 : 0) }

  /// The last signal that would have ended this process; nil for none.
  public static var heldSignal: Int32? {
    let number = mcore_held_signal()
    return number == 0 ? nil : number
  }

  /// What a held signal means for work that it ends; nil for none.
  public static var interruption: DumpError? {
    guard let number = heldSignal else { return nil }
    let names = [SIGHUP: "SIGHUP", SIGINT: "SIGINT", SIGQUIT: "SIGQUIT", SIGTERM: "SIGTERM"]
    return DumpError(.system(EINTR), "ended by \(names[number] ?? "signal \(number)")")
  }

  /// Runs a program to its end, with this process's terminal. After `holdSignals` it gets SIGTERM and SIGHUP
  /// that this process gets; the terminal sends it SIGINT itself.
  public static func runInForeground(_ command: Command) throws(DumpError) -> ProcessEnd {
    let pid = try spawn(command, output: -1)
    mcore_pass_signals_to(pid)
    defer { mcore_pass_signals_to(0) }
    var nothing = CollectedOutput(-1)
    return try wait(for: pid, command.program, nil, &nothing)
  }

  /// Mounts of this process are seen by it and its children alone from now on. Only root may ask for that.
  public static func separateMounts() throws(DumpError) {
    let code = mcore_separate_mounts()
    if code != 0 { throw failure(.mount, -code, "mounts of this process alone") }
  }

  /// A new directory that only this user can look into, in `directory`.
  public static func makePrivateDirectory(in directory: String) throws(DumpError) -> String {
    var path = Array("\(directory)/mcore-XXXXXX".utf8CString)
    _ = try retrying(.mkdir, directory) { unsafe mkdtemp(&path) == nil ? -1 : 0 }
    return String(decoding: path.dropLast().lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Where the program is that a shell would start by this name; nil for none.
  public static func program(named name: String) -> String? {
    if name.utf8.contains(0x2f) { return canRun(name) ? name : nil }
    let directories = (environment("PATH") ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
    return directories.lazy.map { "\($0)/\(name)" }.first(where: canRun)
  }

  private static func canRun(_ path: String) -> Bool {
    guard kind(of: path) == .regular else { return false }
    return unsafe access(path, X_OK) == 0
  }
}
