internal import DumpBasics
internal import LinuxSystem

/// Where libraries of this system lie, found as ld.so(8) finds them, and where they may lie in a crash
/// initramfs, which has no ld.so.cache.
struct LibrarySearch {
  private let root: String
  /// Those that the loader looks into without a cache, as far as they are there.
  private let own: [String]
  /// What stands in ld.so.conf comes before them.
  private let directories: [String]

  /// Of Debian and its descendants, whose loader has the directories with the name of the machine; of others.
  private static let standard = [
    "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib64",
    "/usr/lib64", "/lib", "/usr/lib",
  ]

  init(root: String) {
    self.root = root
    own = LibrarySearch.standard.filter { System.kind(of: root + $0) == .directory }
    directories = LoaderConfiguration(root: root).directories + own
  }

  /// `place` is the directory for the initramfs: its own if the loader looks there by itself, else that of
  /// the C library. One of another machine (a library of 32 bits, say) is passed over, as the loader does.
  func find(_ library: String, neededBy object: ELFObject, _ path: String) -> (path: String, place: String)? {
    if library.utf8.contains(0x2f) {
      return System.kind(of: root + library) == .regular ? (library, relative(placeOfOthers)) : nil
    }
    let outside = root.isEmpty ? 0 : (System.realPath(root) ?? root).utf8.count
    let real = System.realPath(root + path) ?? root + path
    let origin = parentDirectory(of: String(Substring(real.utf8.dropFirst(outside))))
    for directory in object.directories.map({ replaced($0, origin) }) + directories {
      let candidate = "\(directory)/\(library)"
      guard System.kind(of: root + candidate) == .regular, let found = try? ELFObject(root + candidate),
        found.machine == object.machine
      else { continue }
      return (candidate, relative(own.contains(directory) ? directory : placeOfOthers))
    }
    return nil
  }

  private var placeOfOthers: String {
    own.first { System.kind(of: "\(root)\($0)/libc.so.6") == .regular } ?? own.first ?? "/lib"
  }

  private func relative(_ directory: String) -> String { String(Substring(directory.utf8.drop { $0 == 0x2f })) }

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
  private let root: String

  private static let depthLimit = 8

  init(root: String) {
    self.root = root
    read("/etc/ld.so.conf", depth: 0)
    // Named there on most systems; what is left out costs more than what is looked through in vain.
    for file in files("/etc/ld.so.conf.d/*.conf") { read(file, depth: 1) }
  }

  private mutating func read(_ path: String, depth: Int) {
    guard depth < LoaderConfiguration.depthLimit, let text = try? System.text(of: root + path, limit: 1 << 16) else { return }
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
    return ((try? System.names(in: root + directory)) ?? []).sorted().filter { matches(Array($0.utf8), last) }.map {
      "\(directory)/\($0)"
    }
  }
}
