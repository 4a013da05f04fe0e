internal import CrashedKernel
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
  func arguments(
    vmlinux: String, core: String, offset: UInt64, physicalOffset: UInt64? = nil, _ words: [String]
  ) -> [String] {
    switch self {
    case .crash: [vmlinux, core] + (physicalOffset.map { ["--machdep", "phys_offset=\(hex($0))"] } ?? []) + words
    case .drgn: ["-c", core, "-s", vmlinux] + words
    case .gdb:
      // gdb does not know that the kernel was moved.
      offset == 0
        ? [vmlinux, core] + words : ["-c", core, "-ex", "symbol-file -o \(hex(offset)) \(quoted(vmlinux))"] + words
    }
  }

  /// Where the direct map of arm64 starts in memory, for crash, which (9.0.2) goes wrong by itself where a
  /// kernel for addresses of 52 bits runs with fewer: PHYS_OFFSET is then counted from where the map would
  /// start with 52 (arm64_memblock_init, since v5.11, commit f4693c2716b3). Nil for all other kernels.
  static func physicalOffset(_ info: VMCoreInfo) -> UInt64? {
    guard info.number("VA_BITS") == 52, let t1sz = info.number("TCR_EL1_T1SZ"), (13...28).contains(t1sz),
      let counted = info.word("PHYS_OFFSET")
    else { return nil }
    return counted &+ 1 << 52 &- 1 << UInt64(64 - t1sz)
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
