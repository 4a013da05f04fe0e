internal import DumpBasics
internal import LinuxSystem

/// Programs of the running system for a crash initramfs, with all that starts with them: the interpreter of a
/// script, the loader, the shared libraries (DT_NEEDED, and theirs). What a program opens later (plug-ins,
/// configuration, modules of Python or Perl) nobody can tell from it: that is added as files.
///
///     var files = ProgramFiles()
///     try files.add(program: "ssh")
///     try files.add(file: "/etc/ssh/ssh_config")
///     try archive.add(files.files)
struct ProgramFiles {
  /// In the order of adding; no name is there twice.
  private(set) var files: [ImageFile] = []
  private var known: Set<String>
  /// In place of /: for tests.
  private let root: String
  /// Names of the loaders, without directories.
  private var loaders: Set<String> = []
  private lazy var searchPath = LibrarySearch(root: root)

  /// What crash-base.img has already: its shell is busybox.
  static let inBase: Set<String> = ["bin/sh", "bin/busybox", "bin/mcore-capture"]
  /// A list without an end is no program's.
  private static let entryLimit = 4096

  init(root: String = "", present: Set<String> = ProgramFiles.inBase) {
    self.root = root
    known = present
  }

  /// A program and what starts with it. `program` is a path, or a name that is looked for in the directories
  /// of the system; `package` has it. It lies at the same path in the initramfs, or at `name`.
  mutating func add(program: String, as name: String? = nil, package: String? = nil) throws(DumpError) {
    let path = try ProgramFiles.find(program, root, package)
    guard try take(path, as: name, .program) else { return }
    try addWhatStartsWith(path, depth: 0)
  }

  /// A file as it is, at its own path or at `name`.
  mutating func add(file: String, as name: String? = nil) throws(DumpError) {
    guard System.kind(of: root + file) == .regular else { throw DumpError(.usage, "no such file", at: file) }
    _ = try take(file, as: name, .data)
  }

  /// A library that `program`, which was added, loads while it runs, where this system has it.
  mutating func addOptional(library: String, for program: String) {
    guard let path = try? ProgramFiles.find(program, root, nil), let object = try? ELFObject(root + path),
      let found = searchPath.find(library, neededBy: object, path)
    else { return }
    var trial = self
    guard (try? trial.take(found.path, as: "\(found.place)/\(library)", .library)) == true,
      (try? trial.addLibraries(of: found.path)) != nil
    else { return }
    self = trial
  }

  /// Whether a file here is a program: executable, and an ELF file or a script.
  func isProgram(_ path: String) -> Bool {
    guard System.isExecutable(root + path), let start = try? File(root + path, .read).bytes(at: 0, count: 4) else { return false }
    return start.starts(with: "#!".utf8) || start.starts(with: [0x7f, 0x45, 0x4c, 0x46])
  }

  /// The path of a program by its name.
  private static func find(_ program: String, _ root: String, _ package: String?) throws(DumpError) -> String {
    if program.utf8.contains(0x2f) {
      if System.kind(of: root + program) == .regular { return program }
    } else {
      for directory in ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
      where System.kind(of: "\(root)\(directory)/\(program)") == .regular { return "\(directory)/\(program)" }
    }
    throw DumpError(
      .usage, "no such program", at: program, advice: package.map { "install \($0)" } ?? "is its package installed?")
  }

  /// False for one that is there already.
  private mutating func take(_ path: String, as name: String?, _ kind: ImageFile.Kind) throws(DumpError) -> Bool {
    let name = name ?? String(decoding: path.utf8.drop { $0 == 0x2f }, as: UTF8.self)
    guard known.insert(name).inserted else { return false }
    guard files.count < ProgramFiles.entryLimit else { throw DumpError("more than \(ProgramFiles.entryLimit) files", at: path) }
    let source = System.realPath(root + path) ?? root + path
    files.append(ImageFile(name: name, content: .copy(source), kind: kind))
    return true
  }

  private mutating func addWhatStartsWith(_ path: String, depth: Int) throws(DumpError) {
    let file = try File(root + path, .read)
    let start = try file.bytes(at: 0, count: 256)
    if start.starts(with: "#!".utf8) {
      // As deep as the kernel follows them (fs/exec.c).
      guard depth < 5 else { throw DumpError("an interpreter of an interpreter, without an end", at: path) }
      try addInterpreter(start, of: path, depth: depth)
    } else if start.starts(with: [0x7f, 0x45, 0x4c, 0x46]) {
      try addLibraries(of: path)
    } else {
      throw DumpError(
        .usage, "neither an ELF program nor a script", at: path, advice: "a script begins with #! and its interpreter's path")
    }
  }

  private mutating func addInterpreter(_ start: [UInt8], of path: String, depth: Int) throws(DumpError) {
    let line = start.dropFirst(2).prefix { $0 != 0x0a }
    let words = line.split { $0 == 0x20 || $0 == 0x09 }.map { String(decoding: $0, as: UTF8.self) }
    guard let interpreter = words.first, interpreter.utf8.first == 0x2f else {
      throw DumpError(.usage, "no interpreter's path stands behind #!", at: path)
    }
    do throws(DumpError) {
      var wanted = [interpreter]
      // `#!/usr/bin/env bash`: env looks for the second word.
      if interpreter.utf8.suffix(4).elementsEqual("/env".utf8),
        let name = words.dropFirst().first(where: { $0.utf8.first != 0x2d })
      {
        wanted.append(name)
      }
      // The shell of the initramfs is its own, whatever this system has under that name.
      for program in wanted where !known.contains(String(decoding: program.utf8.dropFirst(), as: UTF8.self)) {
        let found = try ProgramFiles.find(program, root, nil)
        if try take(found, as: nil, .program) { try addWhatStartsWith(found, depth: depth + 1) }
      }
    } catch { throw error.inside(path) }
  }

  /// The loader and every library, those of libraries too. A library lies where the loader looks by itself.
  private mutating func addLibraries(of program: String) throws(DumpError) {
    var waiting = [program]
    while let path = waiting.popLast() {
      let object = try ELFObject(root + path)
      if let loader = object.interpreter {
        guard System.kind(of: root + loader) == .regular else {
          throw DumpError("the loader \(loader) is not there", at: path)
        }
        _ = try take(loader, as: nil, .program)
        loaders.insert(lastName(of: loader))
      }
      // The loader is a library too, which the C library names.
      for library in object.needed where !loaders.contains(lastName(of: library)) {
        guard let found = searchPath.find(library, neededBy: object, path) else {
          throw DumpError(
            .usage, "the library \(library) is nowhere", at: path,
            advice: "its package is not installed, or it is found by LD_LIBRARY_PATH alone")
        }
        if try take(found.path, as: "\(found.place)/\(lastName(of: library))", .library) { waiting.append(found.path) }
      }
    }
  }
}
