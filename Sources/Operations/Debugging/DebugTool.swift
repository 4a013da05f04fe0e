internal import DumpBasics

/// A program that reads kernel dumps with a vmlinux.
public enum DebugTool: String, Sendable, CaseIterable {
  case crash, drgn, gdb

  /// What it is called, and what installs it.
  var package: String {
    switch self {
    case .crash: "apt-get install crash (Debian, Ubuntu), dnf install crash (Fedora, RHEL) or zypper install crash"
    case .drgn: "apt-get install python3-drgn (Debian 13, Ubuntu), dnf install drgn (Fedora), or pip install drgn"
    case .gdb: "apt-get install gdb, dnf install gdb or zypper install gdb"
    }
  }

  /// Its words: `vmlinux` and `core` are paths, `offset` is how far KASLR moved the kernel, `words` are the
  /// person's own.
  func arguments(vmlinux: String, core: String, offset: UInt64, _ words: [String]) -> [String] {
    switch self {
    case .crash: [vmlinux, core] + words
    case .drgn: ["-c", core, "-s", vmlinux] + words
    case .gdb:
      // gdb does not know that the kernel was moved.
      offset == 0
        ? [vmlinux, core] + words : ["-c", core, "-ex", "symbol-file -o \(hex(offset)) \(quoted(vmlinux))"] + words
    }
  }

  /// As gdb takes a word apart: in double quotes, with backslashes.
  private func quoted(_ path: String) -> String {
    "\"" + path.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined() + "\""
  }

  /// Whether it reads a file of this kind as it is.
  func reads(_ kind: FileKind) -> Bool {
    switch kind {
    case .elf: true
    case .kdump: self != .gdb
    case .other: false
    }
  }

  /// What a dump is as a file, for programs that know nothing of mcore.
  enum FileKind: Sendable, Equatable { case elf, kdump, other }
}
