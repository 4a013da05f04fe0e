internal import DumpBasics
internal import LinuxSystem

/// What lies in the files of kernel modules, which may be packed.
enum ModuleFiles {
  /// The program that unpacks a module; nil for one that is not packed.
  static func unpacker(of path: String) -> String? {
    for (suffix, program) in [(".xz", "xz"), (".zst", "zstd"), (".gz", "gzip")]
    where path.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) { return program }
    return nil
  }

  /// False where nothing here unpacks it.
  static func unpack(_ source: String, _ program: String, to scratch: String) -> Bool {
    let command = Command("sh", ["-c", "exec \(program) -dc <\"$1\" >\"$2\"", "sh", source, scratch], output: .collect)
    return (try? System.run(command, limitSeconds: 60))?.end == .exited(0)
  }

  /// Names of the firmware that a module may ask for (`MODULE_FIRMWARE`), below the directories of firmware.
  static func firmware(of source: String, scratch: String) -> [String] {
    guard let program = unpacker(of: source) else { return firmware(inPlain: source) }
    defer { try? System.unlink(scratch) }
    return unpack(source, program, to: scratch) ? firmware(inPlain: scratch) : []
  }

  private static let sectionLimit = 1024
  private static let textLimit: UInt64 = 1 << 20

  /// `firmware=` in the section .modinfo, as modinfo(8) prints it.
  private static func firmware(inPlain path: String) -> [String] {
    guard let file = try? File(path, .read), let bytes = try? file.bytes(at: 0, count: 64) else { return [] }
    let header = ByteReader(bytes, .little)
    guard header.slice(0, 6) == [0x7f, 0x45, 0x4c, 0x46, 2, 1], let table = header.u64(40), header.u16(58) == 64,
      let count = header.u16(60), count <= sectionLimit, let names = header.u16(62), names < count,
      let sections = (try? file.bytes(at: table, count: 64 * Int(count))).map({ ByteReader($0, .little) })
    else { return [] }
    func content(_ number: Int) -> [UInt8] {
      guard let offset = sections.u64(64 * number + 24), let size = sections.u64(64 * number + 32), size <= textLimit else {
        return []
      }
      return (try? file.bytes(at: offset, count: Int(size))) ?? []
    }
    let texts = ByteReader(content(Int(names)), .little)
    let prefix = Array("firmware=".utf8)
    for number in 0..<Int(count) {
      guard let name = sections.u32(64 * number), texts.text(Int(name), limit: 64) == ".modinfo" else { continue }
      return content(number).split(separator: 0).filter { $0.starts(with: prefix) }.map {
        String(decoding: $0.dropFirst(prefix.count), as: UTF8.self)
      }
    }
    return []
  }
}

extension Machine {
  /// Those files of firmware that this machine has. A driver names those of all its devices, so that most
  /// are missing.
  func firmwareFiles(_ names: [String]) -> [ImageFile] {
    let own = line("/sys/module/firmware_class/parameters/path") ?? ""
    let directories =
      (own.isEmpty ? [] : [own])
      + ["/lib/firmware/updates/\(release)", "/lib/firmware/updates", "/lib/firmware/\(release)", "/lib/firmware"]
    var files: [ImageFile] = []
    for name in names where !name.isEmpty && !name.utf8.split(separator: 0x2f).contains(where: { $0.elementsEqual("..".utf8) }) {
      // The kernel unpacks by itself what is packed here (CONFIG_FW_LOADER_COMPRESS): it is the same kernel.
      search: for directory in directories {
        for suffix in ["", ".zst", ".xz"] where System.kind(of: "\(root)\(directory)/\(name)\(suffix)") == .regular {
          let file = ImageFile(name: "lib/firmware/\(name)\(suffix)", content: .copy("\(root)\(directory)/\(name)\(suffix)"))
          if !files.contains(file) { files.append(file) }
          break search
        }
      }
    }
    return files
  }
}
