internal import DumpBasics
internal import LinuxSystem

/// The executables below /etc/mcore/hooks.d, with what they need, for the crash initramfs. One that can't go
/// along is a warning: hooks never cost the dump.
struct HookFiles {
  static let directory = "/etc/mcore/hooks.d"
  static let stages = ["before", "after", "failed"]
  /// A line of a script names what its commands need beside the interpreter:
  /// `# mcore-needs: curl /etc/a.pem`.
  private static let needs = "# mcore-needs:"

  private var programs: ProgramFiles
  /// With what they need.
  var files: [ImageFile] { programs.files }
  /// `before/10-fence`, in the order of running.
  private(set) var names: [String] = []
  private(set) var warnings: [String] = []

  init(_ machine: Machine) {
    programs = ProgramFiles(root: machine.root)
    for stage in HookFiles.stages {
      for name in (try? System.names(in: "\(machine.root)\(HookFiles.directory)/\(stage)")) ?? [] where HookFiles.isHook(name) {
        let path = "\(HookFiles.directory)/\(stage)/\(name)"
        // What one hook brings along is left out with it.
        var trial = programs
        do throws(DumpError) {
          guard System.kind(of: machine.root + path) == .regular, System.isExecutable(machine.root + path) else {
            throw DumpError(.usage, "no executable file", at: path, advice: "chmod +x it, or take it away")
          }
          // env(1), which starts it, would take it for a variable.
          if name.utf8.contains(0x3d) {
            throw DumpError(.usage, "a name with = in it can't be run", at: path, advice: "give it another name")
          }
          try trial.add(program: path, as: "hooks/\(stage)/\(name)")
          try HookFiles.addNeeds(of: machine.root + path, to: &trial)
          programs = trial
          names.append("\(stage)/\(name)")
        } catch { warnings.append("hook \(stage)/\(name) is left out: \(error)") }
      }
    }
  }

  /// Not what editors and packages leave beside their files.
  private static func isHook(_ name: String) -> Bool {
    let bytes = name.utf8
    if bytes.first == 0x2e || bytes.first == 0x23 || bytes.last == 0x7e { return false }
    let leftovers = [".bak", ".swp", ".orig", ".rpmnew", ".rpmsave", ".dpkg-old", ".dpkg-new", ".dpkg-dist", ".dpkg-tmp"]
    return !leftovers.contains { bytes.suffix($0.utf8.count).elementsEqual($0.utf8) }
  }

  /// What a script says that it needs, for hooks and commands alike.
  static func addNeeds(of path: String, to programs: inout ProgramFiles) throws(DumpError) {
    for need in try needs(of: path) { try add(need, &programs) }
  }

  private static func needs(of path: String) throws(DumpError) -> [String] {
    let start = try File(path, .read).bytes(at: 0, count: 1 << 14)
    guard start.starts(with: "#!".utf8) else { return [] }
    return start.split(separator: 0x0a).filter { $0.starts(with: needs.utf8) }.flatMap { line in
      line.dropFirst(needs.utf8.count).split { $0 == 0x20 || $0 == 0x09 }.map { String(decoding: $0, as: UTF8.self) }
    }
  }

  /// A name or a file that can be run is a program; anything else is taken as it is.
  private static func add(_ need: String, _ programs: inout ProgramFiles) throws(DumpError) {
    if need.utf8.contains(0x2f), !programs.isProgram(need) {
      try programs.add(file: need)
    } else {
      try programs.add(program: need)
    }
  }
}
