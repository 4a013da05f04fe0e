internal import DumpBasics
internal import LinuxSystem

/// A file of the crash initramfs.
struct ImageFile: Equatable {
  /// Without a slash in front.
  var name: String
  var content: Content
  var isProgram = false

  enum Content: Equatable {
    case text(String)
    /// A path of this system.
    case copy(String)
  }

  var size: UInt64 {
    switch content {
    case .text(let text): UInt64(text.utf8.count)
    case .copy(let path): (try? File(path, .read).size()) ?? 0
    }
  }
}

/// Programs of this system with all that they need to run elsewhere. Nothing is executed for it: the
/// libraries are found as ld.so(8) finds them.
struct FarSidePrograms {
  private(set) var files: [ImageFile] = []
  private let root: String
  private let directories: [String]
  /// By name, so that each is looked at once.
  private var libraries: [String: String] = [:]
  private var home: String?

  /// More is no program that anybody has.
  private static let libraryLimit = 512

  init(_ machine: Machine) {
    root = machine.root
    // What stands in ld.so.conf comes before what is built in. Debian's loader has the directories with the
    // name of the machine.
    directories =
      LoaderConfiguration(machine).directories + [
        "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib64",
        "/usr/lib64", "/lib", "/usr/lib",
      ]
  }

  /// The program is put into `bin` of the initramfs.
  /// - Throws: where it, or a library of it, is not there.
  mutating func add(program name: String, package: String) throws(DumpError) {
    let places = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"]
    let root = root
    guard let path = places.map({ "\(root)\($0)/\(name)" }).first(where: { System.kind(of: $0) == .regular }) else {
      throw DumpError("the program \(name) is not there", advice: "install \(package)")
    }
    let object = try ELFObject(path)
    add(ImageFile(name: "bin/\(name)", content: .copy(path), isProgram: true))
    if let interpreter = object.interpreter {
      guard let real = System.realPath(root + interpreter) else {
        throw DumpError("the loader \(interpreter) of \(name) is not there", at: path)
      }
      add(ImageFile(name: String(Substring(interpreter.utf8.drop { $0 == 0x2f })), content: .copy(real), isProgram: true))
      // Only the C library's own directory is looked into there, whatever ld.so.conf says here: all go there.
      if home == nil {
        guard let libc = find("libc.so.6", object, path) else { throw DumpError("there is no C library", at: path) }
        home = parentDirectory(of: String(Substring(libc.utf8.dropFirst(root.utf8.count))))
      }
    }
    try addLibraries(of: object, path)
  }

  /// A library that is loaded while a program runs, where this system has it.
  mutating func addOptional(library name: String, for program: String) {
    guard home != nil, let object = files.first(where: { $0.name == "bin/\(program)" }), case .copy(let path) = object.content,
      let parsed = try? ELFObject(path)
    else { return }
    try? add(library: name, neededBy: parsed, path)
  }

  private mutating func addLibraries(of object: ELFObject, _ path: String) throws(DumpError) {
    for name in object.needed { try add(library: name, neededBy: object, path) }
  }

  private mutating func add(library name: String, neededBy object: ELFObject, _ path: String) throws(DumpError) {
    let short = name.utf8.split(separator: 0x2f).last.map { String(Substring($0)) } ?? name
    if libraries[short] != nil { return }
    guard let found = find(name, object, path), libraries.count < FarSidePrograms.libraryLimit else {
      throw DumpError("the library \(name) is not there", at: path)
    }
    libraries[short] = found
    // The loader itself is a library that the C library names.
    let isLoader = files.contains { $0.isProgram && $0.name.utf8.split(separator: 0x2f).last?.elementsEqual(short.utf8) == true }
    if !isLoader, let home {
      add(
        ImageFile(
          name: String(Substring(home.utf8.drop { $0 == 0x2f })) + "/\(short)", content: .copy(System.realPath(found) ?? found)))
    }
    try addLibraries(of: try ELFObject(found), found)
  }

  private mutating func add(_ file: ImageFile) { if !files.contains(where: { $0.name == file.name }) { files.append(file) } }

  /// One of another machine (a library of 32 bits, say) is passed over, as the loader does.
  private func find(_ name: String, _ object: ELFObject, _ path: String) -> String? {
    if name.utf8.contains(0x2f) { return System.kind(of: root + name) == .regular ? root + name : nil }
    let outside = root.isEmpty ? 0 : (System.realPath(root) ?? root).utf8.count
    let origin = parentDirectory(of: String(Substring((System.realPath(path) ?? path).utf8.dropFirst(outside))))
    let own = object.directories.map { replaced($0, origin) }
    for directory in own + directories {
      let candidate = "\(root)\(directory)/\(name)"
      if System.kind(of: candidate) == .regular, let found = try? ELFObject(candidate), found.machine == object.machine {
        return candidate
      }
    }
    return nil
  }

  /// `$ORIGIN/../lib` is below the directory of the object itself.
  private func replaced(_ directory: String, _ origin: String) -> String {
    for form in ["$ORIGIN", "${ORIGIN}"] where directory.utf8.starts(with: form.utf8) {
      return origin + String(Substring(directory.utf8.dropFirst(form.utf8.count)))
    }
    return directory
  }
}

/// /etc/ld.so.conf (ldconfig(8)): a directory a line, and `include` with a pattern.
struct LoaderConfiguration {
  private(set) var directories: [String] = []
  private let machine: Machine

  private static let depthLimit = 8

  init(_ machine: Machine) {
    self.machine = machine
    read("/etc/ld.so.conf", depth: 0)
  }

  private mutating func read(_ path: String, depth: Int) {
    guard depth < LoaderConfiguration.depthLimit, let text = try? machine.text(path) else { return }
    for line in text.utf8.split(separator: 0x0a) {
      let words = line.prefix { $0 != 0x23 }.split(whereSeparator: { $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }).map {
        String(Substring($0))
      }
      if words.first == "include" {
        for word in words.dropFirst() {
          let pattern = word.utf8.first == 0x2f ? word : parentDirectory(of: path) + "/" + word
          for file in files(pattern) { read(file, depth: depth + 1) }
        }
      } else if let directory = words.first, directory.utf8.first == 0x2f, !directories.contains(directory) {
        directories.append(directory)
      }
    }
  }

  /// Only the last part may be a pattern.
  private func files(_ pattern: String) -> [String] {
    let directory = parentDirectory(of: pattern)
    let last = Array(pattern.utf8.dropFirst(directory.utf8.count + 1))
    return ((try? System.names(in: machine.root + directory)) ?? []).filter { matches(Array($0.utf8), last) }.map {
      "\(directory)/\($0)"
    }
  }
}
