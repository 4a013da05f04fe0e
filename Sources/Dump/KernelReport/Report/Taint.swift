/// Why the kernel calls itself tainted (Documentation/admin-guide/tainted-kernels.rst).
enum Taint {
  private static let flags: [(letter: Character, text: String)] = [
    ("P", "proprietary module was loaded"), ("F", "module was force loaded"), ("S", "hardware out of specification"),
    ("R", "module was force unloaded"), ("M", "machine check was reported"), ("B", "bad page was found"),
    ("U", "taint asked for by userspace"), ("D", "kernel died before (oops or BUG)"), ("A", "ACPI table was overridden"),
    ("W", "warning was issued"), ("C", "staging driver was loaded"), ("I", "workaround for a bug in the firmware"),
    ("O", "module from outside the kernel's tree was loaded"), ("E", "unsigned module was loaded"), ("L", "soft lockup occurred"),
    ("K", "kernel was live patched"), ("X", "taint of the distribution"), ("T", "built with randomised structures"),
    ("N", "in-kernel test was run"), ("J", "userspace used a mutating debug operation"),
  ]

  static func texts(_ mask: UInt64) -> [String] {
    (0..<64).compactMap { bit in
      guard mask >> UInt64(bit) & 1 == 1 else { return nil }
      return bit < flags.count ? "\(flags[bit].letter): \(flags[bit].text)" : "bit \(bit)"
    }
  }
}
