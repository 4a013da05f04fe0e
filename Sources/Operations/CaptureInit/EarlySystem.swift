internal import DumpBasics
internal import LinuxSystem

/// What PID 1 has to put in place before anything else works. All of it is done before any thread is made.
/// What fails is returned, and the rest goes on.
enum EarlySystem {
  private static let mounts: [(type: String, point: String, probe: String, options: String)] = [
    // An initramfs brings /dev/console and /dev/null along: neither tells that devtmpfs is there.
    ("devtmpfs", "/dev", "/dev/full", ""),
    ("proc", "/proc", "/proc/self", ""),
    ("sysfs", "/sys", "/sys/kernel", ""),
    ("tmpfs", "/run", "", "mode=0755"),
    ("tmpfs", "/tmp", "", "mode=1777"),
  ]

  /// `probe` is there when the file system is: mounting twice would hide what was made on the first.
  static func mountAll() -> [DumpError] {
    var problems: [DumpError] = []
    for mount in mounts where mount.probe.isEmpty || System.kind(of: mount.probe) == nil {
      do throws(DumpError) {
        _ = try System.mkdir(mount.point, mode: 0o755)
        try System.mount(mount.type, on: mount.point, type: mount.type, options: mount.options)
      } catch {
        problems.append(error)
      }
    }
    return problems
  }

  static func openConsole() -> [DumpError] {
    do throws(DumpError) {
      try System.openConsole()
      return []
    } catch {
      return [error]
    }
  }

  /// For children. The kernel gives PID 1 no PATH.
  static func setEnvironment() {
    System.setEnvironment("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    System.setEnvironment("HOME", "/")
    System.setEnvironment("PS1", "mcore-rescue# ")
  }

  /// Loads the modules that a file lists: a path a line, with parameters after it; `#` begins a comment. The
  /// file may be missing when nobody named it.
  static func loadModules(_ list: Placed<String>) -> [DumpError] {
    if list.origin == nil, System.kind(of: list.value) == nil { return [] }
    var problems: [DumpError] = []
    do throws(DumpError) {
      for module in modules(try System.text(of: list.value)) {
        do throws(DumpError) { try System.loadModule(module.path, parameters: module.parameters) } catch {
          problems.append(error)
        }
      }
    } catch {
      problems.append(error)
    }
    return problems
  }

  static func modules(_ text: String) -> [(path: String, parameters: String)] {
    text.utf8.split(separator: 0x0a).compactMap { line in
      let words = Words.split(Array(line), comments: true)
      guard let path = words.first else { return nil }
      return (path, words.dropFirst().joined(separator: " "))
    }
  }
}
