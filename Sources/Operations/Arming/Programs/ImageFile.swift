internal import DumpBasics
internal import LinuxSystem

/// A file of the crash initramfs.
struct ImageFile: Equatable {
  /// Without a slash in front.
  var name: String
  var content: Content
  var kind = Kind.data

  enum Content: Equatable {
    case text(String)
    /// A path of this system.
    case copy(String)
  }

  enum Kind {
    case program, library
    /// Keys are among it: root alone reads it.
    case data
  }

  var isProgram: Bool { kind == .program }
  /// Programs may run as another user.
  var mode: UInt64 { kind == .data ? 0o600 : 0o755 }

  var size: UInt64 {
    switch content {
    case .text(let text): UInt64(text.utf8.count)
    case .copy(let path): (try? File(path, .read).size()) ?? 0
    }
  }
}

extension [ImageFile] {
  /// Bytes of all files.
  var size: UInt64 { reduce(0) { clampedSum($0, $1.size) } }

  /// With those of `others` whose names are not here.
  func adding(_ others: [ImageFile]) -> [ImageFile] {
    let names = Set(map(\.name))
    return self + others.filter { !names.contains($0.name) }
  }
}

extension CpioArchive {
  /// Directories are made where the start of the initramfs does not have them: what is a symbolic link there
  /// (`sbin`) would be one no more.
  func add(_ files: [ImageFile]) throws(DumpError) {
    var directories: Set<String> = ["bin", "dev", "etc", "lib", "mnt", "proc", "run", "sbin", "sys", "tmp", "modules"]
    for file in files {
      var parents: [String] = []
      var place = parentDirectory(of: file.name)
      while place != ".", directories.insert(place).inserted {
        parents.append(place)
        place = parentDirectory(of: place)
      }
      for parent in parents.reversed() { try addDirectory(parent, mode: 0o755) }
      switch file.content {
      case .text(let text): try add(file.name, text)
      case .copy(let path): try add(file.name, contentsOf: path, mode: file.mode)
      }
    }
  }
}
