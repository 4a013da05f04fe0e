internal import DumpBasics
internal import LinuxSystem

/// Programs of the running system for a crash initramfs, with all that starts with them: the interpreter of a
/// script, the loader, the shared libraries (DT_NEEDED, and theirs). What a program opens later (plug-ins,
/// configuration, modules of Python or Perl) nobody can tell from it: that is added as files.
///
///     var files = ProgramFiles()
///     try files.add(program: "ssh")
///     try files.add(file: "/etc/ssh/ssh_config")
///     try archive.add(files)
struct ProgramFiles {
  /// One file of the initramfs.
  struct Entry: Equatable {
    /// Where it lies there: a path without a slash at its start.
    var name: String
    /// Where it lies here, links followed.
    var source: String
    var isExecutable = true
  }

  /// In the order of adding; no name is there twice.
  private(set) var entries: [Entry] = []
  private var known: Set<String>
  /// In place of /: for tests.
  private let root: String
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
  /// of the system. It lies at the same path in the initramfs, or at `name`.
  mutating func add(program: String, as name: String? = nil) throws(DumpError) {
    let path = try ProgramFiles.find(program, root)
    guard try take(path, as: name) else { return }
    try addWhatStartsWith(path, depth: 0)
  }

  /// A file as it is, at its own path or at `name`.
  mutating func add(file: String, as name: String? = nil) throws(DumpError) {
    guard System.kind(of: root + file) == .regular else { throw DumpError(.usage, "no such file", at: file) }
    _ = try take(file, as: name, isExecutable: false)
  }

  /// Whether a file here is a program: executable, and an ELF file or a script.
  func isProgram(_ path: String) -> Bool {
    guard System.isExecutable(root + path), let start = try? File(root + path, .read).bytes(at: 0, count: 4) else { return false }
    return start.starts(with: "#!".utf8) || start.starts(with: [0x7f, 0x45, 0x4c, 0x46])
  }

  /// The directories that have to be there, parents first.
  var directories: [String] {
    var all: [String] = []
    for entry in entries {
      var path = ""
      for part in entry.name.utf8.split(separator: 0x2f).dropLast() {
        path += (path.isEmpty ? "" : "/") + String(Substring(part))
        if !all.contains(path) { all.append(path) }
      }
    }
    return all
  }

  /// Bytes of all files.
  var size: UInt64 { entries.reduce(0) { clampedSum($0, (try? File($1.source, .read).size()) ?? 0) } }

  /// The path of a program by its name.
  private static func find(_ program: String, _ root: String) throws(DumpError) -> String {
    if program.utf8.contains(0x2f) {
      if System.kind(of: root + program) == .regular { return program }
    } else {
      for directory in ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
      where System.kind(of: "\(root)\(directory)/\(program)") == .regular { return "\(directory)/\(program)" }
    }
    throw DumpError(.usage, "no such program", at: program, advice: "is its package installed?")
  }

  /// False for one that is there already.
  private mutating func take(_ path: String, as name: String?, isExecutable: Bool = true) throws(DumpError) -> Bool {
    let name = name ?? String(decoding: path.utf8.drop { $0 == 0x2f }, as: UTF8.self)
    guard known.insert(name).inserted else { return false }
    guard entries.count < ProgramFiles.entryLimit else { throw DumpError("more than \(ProgramFiles.entryLimit) files", at: path) }
    let source = System.realPath(root + path) ?? root + path
    entries.append(Entry(name: name, source: source, isExecutable: isExecutable))
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
        let found = try ProgramFiles.find(program, root)
        if try take(found, as: nil) { try addWhatStartsWith(found, depth: depth + 1) }
      }
    } catch { throw error.inside(path) }
  }

  /// The loader and every library, those of libraries too. A library lies where the loader looks by itself:
  /// there is no ld.so.cache in a crash initramfs.
  private mutating func addLibraries(of program: String) throws(DumpError) {
    var waiting = [program]
    while let path = waiting.popLast() {
      let links = try DynamicLinks(root + path)
      if let loader = links.interpreter { _ = try take(loader, as: nil) }
      for library in links.needed {
        guard let found = searchPath.find(library, for: path, links.runPath) else {
          throw DumpError(
            .usage, "the library \(library) is nowhere", at: path,
            advice: "its package is not installed, or it is found by LD_LIBRARY_PATH alone")
        }
        if try take(found.path, as: "\(found.place)/\(library)") { waiting.append(found.path) }
      }
    }
  }
}

extension CpioArchive {
  /// All files, with the directories that they lie in.
  func add(_ files: ProgramFiles) throws(DumpError) {
    for directory in files.directories { try addDirectory(directory, mode: 0o755) }
    for entry in files.entries { try add(entry.name, contentsOf: entry.source, mode: entry.isExecutable ? 0o755 : 0o600) }
  }
}
