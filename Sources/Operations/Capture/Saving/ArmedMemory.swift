public import DumpBasics
internal import DumpSource
internal import LinuxSystem
internal import SoftBoot

/// The machine's RAM as `mcore arm` saw it: a second witness for the program headers of /proc/vmcore, which
/// lie in the memory of the kernel that crashed. What the two don't agree on is a finding; nothing is left
/// out for it.
public struct ArmedMemory: Sendable {
  /// In the crash initramfs. Its lines are those of /proc/iomem.
  public static let standardPath = "/etc/mcore.memory"
  private static let kind = "System RAM"
  /// Loaders leave out the memory below this (`elf_header_exclude_ranges` in arch/x86/kernel/crash.c, Linux
  /// 6.1) or list it twice.
  private static let lowMemory: UInt64 = 1 << 20
  private static let page: UInt64 = 4096
  /// Findings of each kind; the rest is counted.
  private static let limit = 8

  /// Sorted, disjoint.
  private let ram: [PhysicalRange]

  public init(_ ram: [PhysicalRange]) { self.ram = RangeSet.joined(ram) }

  /// Nil where nothing was recorded, or nothing that can be read: then there is one witness less.
  public init?(readFrom path: String) {
    guard let text = try? System.text(of: path), let ram = occupiedMemory(iomem: text, kind: ArmedMemory.kind) else { return nil }
    self.init(ram)
  }

  /// For the crash initramfs.
  public var record: String {
    ram.reduce("") { $0 + "\(String($1.start, radix: 16))-\(String($1.end - 1, radix: 16)) : \(ArmedMemory.kind)\n" }
  }

  /// Where `segments`, the memory of the source, and the RAM that was recorded differ. `own` is the RAM of
  /// the crash kernel, by its /proc/iomem: no program header has it.
  func findings(_ segments: [PhysicalRange], own: [PhysicalRange], at source: String) -> [DumpError] {
    let held = RangeSet.joined(segments)
    let added = ArmedMemory.beyond(ram, held)
    let missing = ArmedMemory.beyond(RangeSet.joined(held + own), ram)
    return ArmedMemory.told(added) {
      DumpError(
        "program headers have memory here, and there was none when the crash kernel was armed", at: "\(source), \($0)",
        advice: "where memory was added since then, mcore arm records it")
    }
      + ArmedMemory.told(missing) {
        DumpError(
          "here was memory when the crash kernel was armed, and no program header has it: it is not in the dump",
          at: "\(source), \($0)", advice: "where memory was taken out since then, mcore arm records it")
      }
  }

  /// What of `ranges` is not in `known`: whole pages above the low memory.
  private static func beyond(_ known: [PhysicalRange], _ ranges: [PhysicalRange]) -> [PhysicalRange] {
    ranges.flatMap { RangeSet.subtracting(known, from: $0) }.compactMap { piece in
      PhysicalRange(max(piece.start, lowMemory), max(piece.end, lowMemory)).flatMap { $0.count < page ? nil : $0 }
    }
  }

  private static func told(_ ranges: [PhysicalRange], _ tell: (PhysicalRange) -> DumpError) -> [DumpError] {
    var findings = ranges.prefix(limit).map(tell)
    if let last = ranges.last, ranges.count > limit, let rest = PhysicalRange(ranges[limit].start, last.end) {
      findings.append(DumpError("\(ranges.count - limit) more such pieces of memory", at: "\(rest)"))
    }
    return findings
  }
}
