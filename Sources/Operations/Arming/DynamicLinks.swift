internal import DumpBasics
internal import LinuxSystem

/// What an ELF program or library names to be loaded with it: PT_INTERP, DT_NEEDED, DT_RUNPATH.
struct DynamicLinks {
  /// The loader's path; nil for a static program, and for libraries.
  private(set) var interpreter: String?
  /// Names of libraries, in the order of the file.
  private(set) var needed: [String] = []
  /// Directories, colons between them; with `$ORIGIN` as it stands.
  private(set) var runPath = ""

  private static let stringLimit: UInt64 = 16 << 20
  private static let dynamicLimit: UInt64 = 1 << 16

  init(_ path: String) throws(DumpError) {
    let file = try File(path, .read)
    func wrong(_ what: String) -> DumpError { DumpError("not a program that can be read: \(what)", at: path) }
    let head = ByteReader(try file.bytes(at: 0, count: 64), .little)
    guard head.slice(0, 6) == [0x7f, 0x45, 0x4c, 0x46, 2, 1] else { throw wrong("not an ELF file of 64 bits, little-endian") }
    guard let start = head.u64(32), let size = head.u16(54), let count = head.u16(56), size >= 56, count <= 512 else {
      throw wrong("no program headers")
    }
    let table = ByteReader(try file.bytes(at: start, count: Int(size) * Int(count)), .little)
    var dynamic: (offset: UInt64, size: UInt64)?
    var loads: [(address: UInt64, offset: UInt64, size: UInt64)] = []
    for index in 0..<Int(count) {
      let at = index * Int(size)
      guard let type = table.u32(at), let offset = table.u64(at + 8), let address = table.u64(at + 16),
        let bytes = table.u64(at + 32)
      else { throw wrong("cut in its program headers") }
      switch type {
      case 1: loads.append((address, offset, bytes))
      case 2: dynamic = (offset, bytes)
      case 3: interpreter = ByteReader(try file.bytes(at: offset, count: Int(min(bytes, 4096))), .little).text(0, limit: 4096)
      default: break
      }
    }
    guard let dynamic else { return }
    let entries = ByteReader(
      try file.bytes(at: dynamic.offset, count: Int(min(dynamic.size, DynamicLinks.dynamicLimit))), .little)
    var names: [UInt64] = []
    // DT_RUNPATH, and without it DT_RPATH.
    var (runPathAt, oldPathAt): (UInt64?, UInt64?)
    var strings: (address: UInt64, size: UInt64) = (0, 0)
    var at = 0
    while let tag = entries.u64(at), let value = entries.u64(at + 8), tag != 0 {
      switch tag {
      case 1: names.append(value)
      case 5: strings.address = value
      case 10: strings.size = value
      case 15: oldPathAt = value
      case 29: runPathAt = value
      default: break
      }
      at += 16
    }
    if names.isEmpty { return }
    guard let load = loads.first(where: { $0.address <= strings.address && strings.address - $0.address < $0.size }),
      strings.size <= DynamicLinks.stringLimit, !load.offset.addingReportingOverflow(strings.address - load.address).overflow
    else { throw wrong("its names lie outside of it") }
    let text = ByteReader(
      try file.bytes(at: load.offset + (strings.address - load.address), count: Int(strings.size)), .little)
    func string(_ offset: UInt64) throws(DumpError) -> String {
      guard let found = text.text(Int(clamping: offset), limit: 4096), !found.isEmpty else {
        throw wrong("a name lies outside of it")
      }
      return found
    }
    for offset in names { needed.append(try string(offset)) }
    if let offset = runPathAt ?? oldPathAt { runPath = try string(offset) }
  }
}

/// Where libraries of this system lie, and where they may lie in a crash initramfs.
struct LibrarySearch {
  private let root: String
  /// Those that the loader looks into without a cache: of Debian and its descendants, of others.
  private static let standard = [
    "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib64",
    "/usr/lib64", "/lib", "/usr/lib",
  ]
  private let own: [String]
  private let configured: [String]

  init(root: String) {
    self.root = root
    own = LibrarySearch.standard.filter { System.kind(of: root + $0) == .directory }
    var directories: [String] = []
    let folder = "/etc/ld.so.conf.d"
    let files = ((try? System.names(in: root + folder)) ?? []).sorted().map { "\(folder)/\($0)" }
    for file in ["/etc/ld.so.conf"] + files where file.utf8.suffix(5).elementsEqual(".conf".utf8) {
      let text = (try? System.text(of: root + file, limit: 1 << 16)) ?? ""
      for line in text.utf8.split(separator: 0x0a) where line.first == 0x2f {
        directories.append(String(decoding: line.prefix { $0 != 0x20 && $0 != 0x09 && $0 != 0x23 }, as: UTF8.self))
      }
    }
    configured = directories
  }

  /// `place` is the directory for the initramfs: its own if the loader looks there, else that of the C
  /// library.
  func find(_ library: String, for program: String, _ runPath: String) -> (path: String, place: String)? {
    if library.utf8.contains(0x2f) { return nil }
    let origin = parentDirectory(of: root.isEmpty ? System.realPath(program) ?? program : root + program)
    let listed = runPath.utf8.split(separator: 0x3a).map { word in
      let text = String(Substring(word))
      for mark in ["$ORIGIN", "${ORIGIN}"] where text.utf8.starts(with: mark.utf8) {
        return origin + String(Substring(text.utf8.dropFirst(mark.utf8.count)))
      }
      return root + text
    }
    for directory in listed + own.map({ root + $0 }) + configured.map({ root + $0 }) {
      let path = "\(directory)/\(library)"
      guard System.kind(of: path) == .regular else { continue }
      let here = String(Substring(path.utf8.dropFirst(root.utf8.count)))
      let folder = parentDirectory(of: here)
      return (here, String(Substring((own.contains(folder) ? folder : placeOfOthers).utf8.dropFirst())))
    }
    return nil
  }

  private var placeOfOthers: String {
    own.first { System.kind(of: "\(root)\($0)/libc.so.6") == .regular } ?? own.first ?? "/lib"
  }
}
